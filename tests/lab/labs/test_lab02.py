"""Lab 2: its reference against the oracle, its mistakes, and submissions written in other ways than the library."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from tinyres.kernels import registry
from tinyres.kernels.on_numpy.parts import parts
from tinyres.lab import catalogue, start
from tinyres.lab.check import check
from tinyres.lab.compare import gap, wrong
from tinyres.lab.labs.lab02_convolution.cases import positions
from tinyres.lab.labs.lab02_convolution.slips import misread, rewritten

LAB = catalogue.lab("02-convolution")
KEYS = [task.key for task in LAB.tasks]


def cases(task, seed=5, hidden=True):
    rng = np.random.default_rng(seed)
    every = [*task.checks.cases(rng), *(task.checks.hidden(rng) if hidden else ())]
    return [case.rounded() for case in every]


def oracle(x, w, stride, padding):
    return registry.find("conv2d", "naive").function(x, w, stride=stride, padding=padding, groups=1)


def test_reference_is_the_oracle():
    for case in cases(LAB.task("conv.forward")):
        x, w = case.arrays["x"], case.arrays["w"]
        y = LAB.task("conv.forward").checks.reference(case)["y"]
        np.testing.assert_allclose(y, oracle(x, w, case.params["stride"], case.params["padding"]), atol=1e-12)
        assert y.shape[1:3] == positions(case)


def test_padding_and_windows_number_by_number():
    for case in cases(LAB.task("conv.im2col")):
        (n, h, w, c), (r, s), stride = case.arrays["x"].shape, case.params["window"], case.params["stride"]
        (top, _, left, _), (rows, columns) = case.params["padding"], positions(case)
        expected = np.zeros((n, rows, columns, r, s, c))
        for i, j, a, b in np.ndindex(rows, columns, r, s):
            row, column = i * stride + a - top, j * stride + b - left
            if 0 <= row < h and 0 <= column < w:
                expected[:, i, j, a, b] = case.arrays["x"][:, row, column]
        got = LAB.task("conv.im2col").checks.reference(case)["columns"]
        np.testing.assert_array_equal(got, expected.reshape(n * rows * columns, -1))


def test_references_of_the_variants():
    """Dilated: filters with holes. Circular: shifted images. Channels first: dot products of windows."""
    for case in cases(LAB.task("conv.dilated")):
        x, w, step = case.arrays["x"], case.arrays["w"], case.params["dilation"]
        holes = np.kron(w, np.eye(1, step * step).reshape(step, step)[..., None, None])
        holes = holes[: (len(w) - 1) * step + 1, : (w.shape[1] - 1) * step + 1]
        y = oracle(x, holes, case.params["stride"], case.params["padding"])
        np.testing.assert_allclose(LAB.task("conv.dilated").checks.reference(case)["y"], y, atol=1e-12)
    for case in cases(LAB.task("conv.circular")):
        x, w, stride = case.arrays["x"], case.arrays["w"], case.params["stride"]
        top, _, left, _ = case.params["padding"]
        y = 0
        for a, b in np.ndindex(*w.shape[:2]):
            seen = np.roll(x, (top - a, left - b), (1, 2))
            rows, columns = (
                np.arange(count) * stride % size for count, size in zip(positions(case), x.shape[1:], strict=False)
            )
            y = y + seen[:, rows][:, :, columns] @ w[a, b]
        np.testing.assert_allclose(LAB.task("conv.circular").checks.reference(case)["y"], y, atol=1e-12)
    for case in cases(LAB.task("conv.channels_first")):
        x, w = (np.moveaxis(case.arrays[name], 1, 3) for name in ("x", "w"))
        y = oracle(x, np.moveaxis(w, 0, 3), case.params["stride"], case.params["padding"])
        np.testing.assert_allclose(LAB.task("conv.channels_first").checks.reference(case)["y"], y.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("key", KEYS)
def test_cases(key):
    """Of the seed; float64 and strided ones among them; no two sizes of x alike: a wrong order of axes might pass."""
    task = LAB.task(key)
    first, again, other = cases(task, 1), cases(task, 1), cases(task, 2)
    for case, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(case.arrays["x"], same.arrays["x"])
        assert not np.array_equal(case.arrays["x"], different.arrays["x"])
        assert len(set(case.arrays["x"].shape)) == 4
    assert len({case.name for case in first}) == len(first)
    assert {case.dtype for case in first} == {"float32", "float64"}
    assert {case.layout for case in first} == {"contiguous", "strided"}
    assert first[0].arrays["x"].size <= 240


def test_one_case_comes_in_several_parts():
    counts = []
    for case in cases(LAB.task("conv.forward"), hidden=False):
        x, w = case.arrays["x"].astype(case.dtype), case.arrays["w"]
        counts.append(len(list(parts(x, w.shape, positions(case), 1))))
    assert sorted(set(counts)) == [1, 2]


def run(task, case):
    """The library's function on a case, its types as a submission's would be."""
    module = next(source.module for source in LAB.sources if source.file == task.file)
    function = getattr(importlib.import_module(module), task.function)
    arrays = [case.arrays[name].astype(case.dtype) for name in task.arrays]
    if task.key != "conv.forward":
        return {task.results[0]: function(*arrays, **case.params)}
    out = np.full(task.checks.reference(case)["y"].shape, np.nan, case.dtype)
    function(*arrays, **case.params, out=out)
    return {"y": out}


@pytest.mark.parametrize("key", KEYS)
def test_the_library_is_a_solution(key):
    task = LAB.task(key)
    for case in cases(task):
        expected, got, terms = task.checks.reference(case), run(task, case), task.checks.terms(case)
        names = wrong(case, expected, got, terms)
        assert not names, gap(case, expected, got, names, terms)


def test_two_ways_of_mixing_axes_up():
    a = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(misread(rewritten(a, (2, 0, 1)), (2, 0, 1)), a)
    assert rewritten(a, (2, 0, 1)).ravel().tolist() == a.transpose(2, 0, 1).ravel().tolist()


TAPS = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def positions(size, window, stride, padding):
    around = sum(padding[:2]), sum(padding[2:])
    return tuple((size[axis] + around[axis] - window[axis]) // stride + 1 for axis in (0, 1))


def pad(x, padding):
    around = [(0, 0), *((max(0, a), max(0, b)) for a, b in (padding[:2], padding[2:])), (0, 0)]
    grown = np.pad(x, around)
    (t, b), (l, r) = ((max(0, -a), max(0, -b)) for a, b in (padding[:2], padding[2:]))
    return grown[:, t : grown.shape[1] - b, l : grown.shape[2] - r]


def im2col(x, window, stride, padding):
    seen = sliding_window_view(pad(x, padding), window, axis=(1, 2))[:, ::stride, ::stride]
    return np.moveaxis(seen, 3, 5).reshape(-1, window[0] * window[1] * x.shape[3])
"""
LOOPS = """
import numpy as np
from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    t, b, l, r = padding
    x = np.pad(x, ((0, 0), (t, b + stride), (l, r + stride), (0, 0)))
    out[...] = 0
    for a in range(w.shape[0]):
        for b in range(w.shape[1]):
            seen = x[:, a : a + out.shape[1] * stride : stride, b : b + out.shape[2] * stride : stride]
            out += np.einsum("nijc,cf->nijf", seen, w[a, b])
"""


def test_other_ways_of_doing_it_pass():
    text = {**start.solutions(LAB), "columns.py": TAPS, "conv.py": LOOPS}
    report = check(LAB, LAB.folder, seed=7, hidden=True, text=text)
    failed = [
        (task.key, case.name, case.gap or case.problem)
        for task in report.tasks
        for case in task.cases
        if not case.passed
    ]
    assert not report.refused
    assert failed == []


@pytest.mark.parametrize(
    ("file", "right", "slip", "key", "name"),
    [
        ("columns.py", "np.moveaxis(seen, 3, 5)", "seen", "conv.im2col", "columns c, r, s"),
        ("conv.py", "w[a, b])", "w[-1 - a, -1 - b])", "conv.forward", "filters turned"),
        pytest.param(
            "conv.py",
            "(t, b + stride), (l, r + stride)",
            "(b, t + stride), (r, l + stride)",
            "conv.forward",
            "sides exchanged",
            marks=pytest.mark.slow,
        ),
        pytest.param("conv.py", "out += np", "out[...] = np", "conv.forward", "last tap only", marks=pytest.mark.slow),
    ],
)
def test_a_slip_in_them_is_named(file, right, slip, key, name):
    text = {**start.solutions(LAB), "columns.py": TAPS, "conv.py": LOOPS}
    assert right in text[file]
    text[file] = text[file].replace(right, slip)
    report = check(LAB, LAB.folder, seed=7, keys=(key,), text=text)
    (task,) = [task for task in report.tasks if task.key == key]
    assert {case.recipes for case in task.cases if not case.passed} == {(name,)}


def test_the_texts_name_every_task():
    readme, hints, guide = (
        (LAB.folder / name).read_text(encoding="utf-8") for name in ("README.md", "hints.md", "guide.md")
    )
    for task in LAB.tasks:
        assert f"| {task.key} |" in readme
        assert f"## {task.key}\n" in hints
        assert task.key in guide
    assert f"{LAB.minutes} minutes" in readme
