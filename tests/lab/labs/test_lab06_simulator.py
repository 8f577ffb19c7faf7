"""What a GPU would hide is an error in lab 6, each time, in the student's line, as the sandbox tells it."""

from __future__ import annotations

import re

import pytest

from tinyres.lab import catalogue, start
from tinyres.lab.check import check

LAB = catalogue.lab("06")
SOLUTION = start.solutions(LAB)
OUTSIDE = r"is outside of an array of shape"
UNREAD = r"shared memory is read before any thread has written it"
UNEVEN = r"came to \d to \d barriers"
TWICE = r"is written by thread .* and written by thread"
RACE = r"is (read|written) by thread .* and (read|written) by thread .*cuda\.syncthreads\(\)"
RELU = "launch(positive, blocks_for(out.size), THREADS, x.reshape(-1), out.reshape(-1))"
BARRIER = "        cuda.syncthreads()\n"
INSIDE = "if i0 + row < y.shape[0] and j0 + column < y.shape[1]"
# name: task, file, what is taken out, what is put in, what is said
FAULTS = {
    "no guard": ("gpu.relu", "elementwise.py", "if number < y.size:", "if True:", OUTSIDE),
    "step of a block": ("gpu.relu_gradient", "elementwise.py", "cuda.gridsize(1)", "cuda.blockDim.x", TWICE),
    "no border above": (
        "gpu.forward",
        "naive.py",
        "if 0 <= h < x.shape[1] and 0 <= k < x.shape[2]:  #",
        "if h < x.shape[1] and k < x.shape[2]:  #",
        OUTSIDE,
    ),
    "no barrier in the tree": ("gpu.total", "total.py", BARRIER, "        pass\n", f"{UNREAD}|{RACE}"),
    "threads return early": (
        "gpu.tile",
        "tile.py",
        "        for v in range(",
        f"        {INSIDE.replace('if ', 'if not (')}):\n            return\n        for v in range(",
        f"{UNREAD}|{UNEVEN}|{RACE}",
    ),
    "computed by the CPU": (
        "gpu.dilated",
        "variants.py",
        "    launch(one_dilated",
        "    out[...] = x.sum()\n    launch(one_dilated",
        "memory of the GPU, where the CPU cannot read",
    ),
}
MORE = {
    "threads of a block only": (
        "gpu.relu",
        "elementwise.py",
        "number = cuda.grid(1)",
        "number = cuda.threadIdx.x",
        TWICE,
    ),
    "number without block size": (
        "gpu.relu",
        "elementwise.py",
        "number = cuda.grid(1)",
        "number = cuda.blockIdx.x + cuda.threadIdx.x",
        TWICE,
    ),
    "no launch": ("gpu.relu", "elementwise.py", RELU, "pass", "without a launch"),
    "no kernel": ("gpu.relu", "elementwise.py", RELU, "launch(max, 1, 1, x, out)", "@cuda.jit"),
    "too many threads": (
        "gpu.relu",
        "elementwise.py",
        RELU,
        RELU.replace("blocks_for(out.size), THREADS", "1, 2048"),
        "1024 at most",
    ),
    "a whole row": ("gpu.relu", "elementwise.py", "value = x[number]", "value = x[:]", "one value at a time"),
    "NumPy on the CPU": (
        "gpu.relu",
        "elementwise.py",
        RELU,
        "import numpy as np; np.maximum(x, 0, out=out)",
        "where the CPU cannot read",
    ),
    "compared by the CPU": (
        "gpu.relu",
        "elementwise.py",
        RELU,
        "out[...] = x * (x > 0)",
        "launch a kernel that does it",
    ),
    "Numba's own brackets": (
        "gpu.relu",
        "elementwise.py",
        RELU,
        "positive[blocks_for(x.size), THREADS](x.reshape(-1), out.reshape(-1))",
        "launch a kernel that does it, by launch",
    ),
    "scatter": ("gpu.input", "naive.py", "dx[n, h, k, c] = total", "dx[n, 0, k, c] = total", TWICE),
    "the input is changed": (
        "gpu.relu_gradient",
        "elementwise.py",
        "        dx[number] = dy",
        "        dy[number] = 2 * dy[number]\n        dx[number] = dy",
        "changed|input",
    ),
    "only own pixels are copied": (
        "gpu.tile",
        "tile.py",
        "range(row * COLUMNS + column, HIGH * WIDE, THREADS)",
        "range(row * COLUMNS + column, THREADS, THREADS)",
        UNREAD,
    ),
    "no barrier after the copy": ("gpu.tile", "tile.py", BARRIER, "        pass\n", f"{UNREAD}|{RACE}"),
    "barrier in an if": (
        "gpu.tile",
        "tile.py",
        BARRIER,
        f"        {INSIDE}:\n            cuda.syncthreads()\n",
        f"{UNREAD}|{UNEVEN}|{RACE}",
    ),
    "all threads add in the tree": ("gpu.total", "total.py", "if t < half:", "if t + half < LANES:", RACE),
    "lanes left as they are": (
        "gpu.total",
        "total.py",
        "lanes[t] = x[number] if number < x.size else 0.0",
        "if number < x.size:\n        lanes[t] = x[number]",
        UNREAD,
    ),
}


def planted(faults):
    text = dict(SOLUTION)
    for _, file, what, instead, _ in faults:
        assert what in text[file], f"{file} no longer has {what!r}"
        text[file] = text[file].replace(what, instead)
    return text


def said(faults, tmp_path):
    """Of each task, the sentences of the cases that failed."""
    report = check(LAB, tmp_path, seed=7, keys=[fault[0] for fault in faults], text=planted(faults))
    assert report.refused == ""
    return {task.key: [f"{case.problem} {case.gap}" for case in task.cases if not case.passed] for task in report.tasks}


def test_one_fault_in_each_task(tmp_path):
    found = said(FAULTS.values(), tmp_path)
    for key, file, _, _, wanted in FAULTS.values():
        assert any(re.search(wanted, each) for each in found[key]), (key, found[key])
        assert all(file in each for each in found[key] if re.search(wanted, each) and wanted is not UNEVEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_other_faults(name, tmp_path):
    key, *_, wanted = fault = MORE[name]
    found = said([fault], tmp_path)[key]
    assert any(re.search(wanted, each) for each in found), found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no barrier in the tree", "threads return early"])
def test_races_do_not_depend_on_luck(name, tmp_path):
    for _ in range(5):
        key, *_, wanted = fault = FAULTS[name]
        found = said([fault], tmp_path)[key]
        assert any(re.search(wanted, each) for each in found), found


@pytest.mark.slow
def test_the_solution_passes(tmp_path):
    right = check(LAB, tmp_path, seed=3, hidden=True, text=SOLUTION)
    assert right.points == right.possible == 33


def test_the_stub_is_not_written_yet(tmp_path):
    empty = check(LAB, tmp_path, seed=3, text=start.stubs(LAB))
    assert empty.points == 0
    assert all(task.stopped == "it is not written yet" for task in empty.tasks)
