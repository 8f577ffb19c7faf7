"""What honest submissions may rely on, and whoever calls them."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyres.errors import LabError
from tinyres.lab.sandbox import Sandbox
from tinyres.lab.task import Case, Source

from .conftest import CASE, LAB, SHAPES, SHAPES_OF_TWO, TASK, TWO, processes_of


def test_a_kernel_writes_into_out(run):
    source = "def f(x, *, k, out):\n    print('hello')\n    out[...] = k * x\n"
    outcome = run(source, calls=2, twice=True)
    for answer in outcome.answers:
        assert answer.problem == ""
        np.testing.assert_array_equal(answer.results["y"], 2 * CASE.arrays["x"])
        np.testing.assert_array_equal(answer.again["y"], 2 * CASE.arrays["x"])
        np.testing.assert_array_equal(answer.inputs["x"], CASE.arrays["x"])
        assert answer.results["y"].dtype == answer.inputs["x"].dtype == np.float32
    assert outcome.printed == "hello\n" * 4
    assert outcome.left == []


CALLS = {
    "returns": "def f(x, *, k): return k * x, np.arange(3)",
    "writes": "def f(x, *, k, out): out[0][...] = k * x; out[1][...] = range(3)",
    "numbers by any name": "def f(x, **others):\n    y, z = others['out']\n    y[...], z[...] = 2 * x, range(3)",
    "subclass": "class A(np.ndarray): pass\ndef f(x, *, k): return [(k * x).view(A), np.arange(3)[::-1][::-1]]",
}


@pytest.mark.parametrize("form", CALLS)
def test_forms_of_a_function(run, form):
    answer = run("import numpy as np\n" + CALLS[form], task=TWO, shapes=SHAPES_OF_TWO).last
    assert answer.problem == ""
    np.testing.assert_array_equal(answer.results["y"], 2 * CASE.arrays["x"])
    np.testing.assert_array_equal(answer.results["z"], [0, 1, 2])


def test_what_arrives(run):
    """Parameters of every kind, strided views with NaN between the values, outs that nobody has written, a shape ()."""
    source = """
import numpy as np
def f(x, i, *, pad, name, nothing, ratio, out):
    assert (pad, name, nothing, ratio) == ((1, (2, 3)), "größe", None, np.float32(0.1).item()), pad
    assert x.strides == (4 * 2 * 6, 4 * 2), x.strides
    assert np.isnan(x.base).sum() == x.base.size - x.size and not np.isnan(x).any()
    assert i.dtype == np.int64 and i.tolist() == [3, 1]
    assert np.isnan(out[0]).all() and (out[1] == np.iinfo(np.int64).min).all()
    out[0][...], out[1][...] = 1, 2
    print(threads)
import os
threads = os.environ["OPENBLAS_NUM_THREADS"], os.getcwd() == os.environ["HOME"]
"""
    arrays = {"x": np.arange(6.0).reshape(2, 3), "i": np.array([3, 1])}
    params = {"pad": (1, (2, 3)), "name": "größe", "nothing": None, "ratio": np.float32(0.1)}
    case = Case("c", arrays, params, layout="strided")
    task = replace(TWO, arrays=("x", "i"))
    outcome = run(source, case=case, task=task, shapes={"y": ((), "float32"), "z": ((3,), "int64")})
    assert outcome.last.problem == ""
    assert outcome.last.results["y"].shape == ()
    assert outcome.printed == "('1', True)\n"


def test_a_parameter_that_cannot_be_sent(run):
    with pytest.raises(LabError, match="case c: a parameter <function"):
        run("def f(x, *, k, out): pass", case=replace(CASE, params={"k": lambda: 1}))


def test_a_warning_names_the_file_alone(run):
    outcome = run("import numpy as np\ndef f(x, *, k, out): out[...] = np.log(-x)")
    assert outcome.printed.startswith("f.py:2: RuntimeWarning")


def test_nan_that_was_computed_is_a_result(run):
    answer = run("import numpy as np\ndef f(x, *, k, out): out[...] = np.nan").last
    assert answer.problem == ""
    assert np.isnan(answer.results["y"]).all()


def test_inputs_come_back_as_they_are_after_the_call(run):
    answer = run("def f(x, *, k, out):\n    out[...] = x\n    x[0, 0] = 7\n", twice=True).last
    assert answer.inputs["x"][0, 0] == 7
    assert answer.results["y"][0, 0] == answer.again["y"][0, 0] == 0


def test_two_calls_have_the_time_of_one(run):
    source = "import time\ndef f(x, *, k, out):\n    time.sleep(0.4)\n    out[...] = x\n"
    outcome = run(source, twice=True, limits=replace(LAB.limits, first=0.6))
    assert "was not done after 0.6 s" in outcome.last.problem


def test_a_file_that_fails_is_not_imported_again(run):
    outcome = run("while True: pass", calls=3, limits=replace(LAB.limits, start=0.4))
    assert outcome.answers[0].kind == "timeout"
    assert all(answer is outcome.answers[0] for answer in outcome.answers)
    assert outcome.answers[0].problem.endswith("was not done after 0.4 s while it was imported")


def test_files_of_a_folder(tmp_path):
    """Found as text: a helper beside it, no links; a file of an earlier lab, and one that the lab provides."""
    (tmp_path / "f.py").write_text(
        "import helper\nfrom tinyres.kernels.earlier import add\nfrom tinyres.kernels.on_numpy.blocks import blocks\n"
        "from tinyres.kernels.registry import kernel\n@kernel('f', 'student', strided=True)\n"
        "def f(x, *, k, out):\n    import f\n    assert f.f and f.__name__ == 'tinyres.kernels.f'\n"
        "    out[...] = helper.times(add(x, len(list(blocks(3, 1)))), k)\n"
    )
    (tmp_path / "helper.py").write_text("def times(a, b): return a * b\n")
    (tmp_path / "earlier.py").write_text("raise ValueError")
    (tmp_path / "linked.py").symlink_to(Path(__file__))
    earlier = tmp_path / "other"
    earlier.mkdir()
    (earlier / "earlier.py").write_text(
        "try: import tinyres.ops\nexcept ImportError: pass\ndef add(a, b): return a + b\n"
        "if __name__ == 'broken':\n    pass\n"
    )
    lab = replace(LAB, provides=("tinyres.kernels.on_numpy.blocks",))
    with Sandbox(lab, tmp_path, others={"tinyres.kernels.earlier": earlier / "earlier.py"}) as sandbox:
        answer = sandbox.call(TASK, CASE, SHAPES)
        assert answer.problem == ""
        np.testing.assert_array_equal(answer.results["y"], 2 * (CASE.arrays["x"] + 1))
        linked = sandbox.call(replace(TASK, file="linked.py"), CASE, SHAPES)
        assert (linked.kind, linked.problem) == ("missing", "linked.py is a link or no file: hand in the file itself")
        absent = sandbox.call(replace(TASK, file="absent.py"), CASE, SHAPES)
        assert (absent.kind, absent.problem) == ("missing", "absent.py is missing: it is not in the folder")
    with pytest.raises(LabError, match="is no folder"):
        Sandbox(lab, tmp_path / "nowhere")


def test_an_adapter_calls_in_its_own_way(tmp_path):
    (tmp_path / "adapter.py").write_text(
        "class Recorder: pass\n"
        "MODULES = {'tinyres.tensor': {'Tensor': Recorder}}\n"
        "def call(modules, arrays, params, outs):\n"
        "    if params['k'] == 3: raise ValueError('f must return a pair')\n"
        "    assert isinstance(modules['f.py'].made, Recorder)\n"
        "    return {'y': modules['f.py'].go(arrays['x']) * params['k'], 'unknown': 1} if params['k'] == 4 else"
        " {'y': modules['f.py'].go(arrays['x']) * params['k']}\n"
        "CALLS = {'t.f': call}\n"
    )
    source = "from tinyres.tensor import Tensor\nmade = Tensor()\ndef go(x): return x + 1\n"
    with Sandbox(replace(LAB, folder=tmp_path), tmp_path, text={"f.py": source}) as sandbox:
        answer = sandbox.call(TASK, CASE, SHAPES)
        np.testing.assert_array_equal(answer.results["y"], 2 * (CASE.arrays["x"] + 1))
        told = sandbox.call(TASK, CASE.but(k=3), SHAPES)
        assert (told.kind, told.problem) == ("contract", "f must return a pair")
        assert sandbox.call(TASK, CASE.but(k=4), SHAPES).kind == "contract"


def test_time_is_the_parents(tmp_path):
    """A function that waits, a patched clock, and one that remembers its results."""
    source = "import time\ntime.perf_counter = time.monotonic = time.time = lambda: 0.0\n"
    source += "def f(x, *, k, out):\n    time.sleep(0.01)\n    out[...] = k * x\n"
    with Sandbox(LAB, tmp_path, text={"f.py": source}) as sandbox:
        seconds, answer = sandbox.time(TASK, CASE, SHAPES, 10)
        assert 0.1 <= seconds < 3
        np.testing.assert_array_equal(answer.results["y"], 2 * CASE.arrays["x"])
        np.testing.assert_array_equal(answer.inputs["x"], CASE.arrays["x"])
    source = "kept = []\ndef f(x, *, k):\n    kept.append(k * x)\n    return kept[1 if len(kept) > 1 else 0]\n"
    with Sandbox(LAB, tmp_path, text={"f.py": source}) as sandbox:
        _, answer = sandbox.time(TASK, CASE, SHAPES, 10)
        assert answer.results["y"][0, 0] != 0
        seconds, answer = sandbox.time(replace(TASK, function="g"), CASE, SHAPES, 10)
        assert (seconds, answer.kind) == (0.0, "missing")
    source = "kept = {}\ndef f(x, *, k): return kept.setdefault(x.ravel()[1:].tobytes(), k * x)\n"
    with Sandbox(LAB, tmp_path, text={"f.py": source}) as sandbox:
        _, answer = sandbox.time(TASK, CASE, SHAPES, 10)
        assert answer.results["y"][0, 0] != 0


@pytest.mark.parametrize("python", ["/bin/false", "/nowhere/python"])
def test_a_worker_that_cannot_start_says_why(tmp_path, monkeypatch, python):
    monkeypatch.setattr("sys.executable", python)
    with Sandbox(LAB, tmp_path, text={"f.py": ""}) as sandbox:
        answer = sandbox.call(TASK, CASE, SHAPES)
    assert answer.kind == "died"
    assert answer.problem.startswith("the worker process did not start: ")
    assert not sandbox._scratch.exists()
    assert ("No such file" in answer.problem) == (python != "/bin/false")


def test_a_system_that_cannot_fork(tmp_path, monkeypatch):
    monkeypatch.delattr("os.fork")
    with Sandbox(LAB, tmp_path, text={"f.py": ""}) as sandbox:
        answer = sandbox.call(TASK, CASE, SHAPES)
    assert "it needs Linux or macOS" in answer.problem


def test_nothing_of_the_scratch_folder_is_left(run):
    """The fixture looks: a folder without rights, a link to a folder that is not its own, everything removed."""
    source = "import os, shutil\ndef f(x, *, k, out):\n    out[...] = 1\n    "
    source += "os.makedirs('a/b'); os.symlink('/usr', 'a/u'); os.chmod('a', 0)"
    assert run(source).last.problem == ""
    outcome = run(source.replace("os.chmod('a', 0)", "shutil.rmtree(os.getcwd(), True)"), calls=2)
    assert [answer.problem for answer in outcome.answers] == ["", ""]


def test_an_interrupted_call_leaves_nothing(tmp_path):
    """Ctrl-C, or an alarm of the grading process, while a call is waited for."""
    sandbox = Sandbox(LAB, tmp_path, text={"f.py": "def f(x, *, k, out):\n    while True: pass\n"})

    def alarm(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.6)
    try:
        with sandbox, pytest.raises(TimeoutError):
            sandbox.call(TASK, CASE, SHAPES)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert processes_of(sandbox._scratch) == []


def test_many_at_once(tmp_path):
    """Sandboxes in threads do not end each other's workers."""
    source = "import time\ndef f(x, *, k, out):\n    time.sleep(0.1)\n    out[...] = k * x\n"
    problems = []

    def work():
        with Sandbox(LAB, tmp_path, text={"f.py": source}) as sandbox:
            problems.extend(sandbox.call(TASK, CASE, SHAPES).problem for _ in range(2))

    threads = [threading.Thread(target=work) for _ in range(3)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [""] * 6
    assert time.perf_counter() - start < 30


@pytest.mark.slow
def test_numba_may_be_used(run):
    source = "import numba\n@numba.njit(cache=True)\ndef f(x, k, out):\n    out[:] = k * x\n"
    outcome = run(source, calls=2, twice=True, limits=replace(LAB.limits, start=60.0, first=60.0, memory=512))
    assert [answer.problem for answer in outcome.answers] == ["", ""]
    np.testing.assert_array_equal(outcome.last.results["y"], 2 * CASE.arrays["x"])


def test_sources_of_the_lab_win(tmp_path):
    """A file of this lab is the student's, also where an earlier lab has one of that name."""
    other = tmp_path / "f.py"
    other.write_text("def f(x, *, k): return 0 * x\n")
    lab = replace(LAB, sources=(Source("f.py", "tinyres.kernels.f"),), provides=("tinyres.kernels.f",))
    with Sandbox(
        lab, tmp_path, others={"tinyres.kernels.f": other}, text={"f.py": "def f(x, *, k): return k * x"}
    ) as sandbox:
        answer = sandbox.call(TASK, CASE, SHAPES)
    np.testing.assert_array_equal(answer.results["y"], 2 * CASE.arrays["x"])
