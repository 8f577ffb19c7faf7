"""What the Numba backend promises beyond its contracts: the same bytes on any number of threads, a cache that holds."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinyres.kernels import launch, registry, use
from tinyres.kernels.backends import backend_of
from tinyres.kernels.contracts import CONTRACTS
from tinyres.kernels.on_numba import threads

GEOMETRY = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}


def results(rng, name="numba"):
    """The kernels of a training step, on enough data to be shared among threads."""
    x, w = rng.standard_normal((37, 16, 16, 16), np.float32), rng.standard_normal((3, 3, 16, 16), np.float32)
    gamma, beta = rng.standard_normal((2, 16), np.float32)
    with use(all=name):
        y = launch("conv2d", x, w, **GEOMETRY)
        yield y
        yield launch("conv2d_input", y, w, shape=x.shape, **GEOMETRY)
        yield launch("conv2d_weight", x, y, shape=w.shape, **GEOMETRY)
        z, mean, variance = launch("bn_add_relu", y, gamma, beta, x, eps=1e-5)
        yield from (z, mean, variance)
        yield from launch("bn_add_relu_gradient", x, z, y, gamma, mean, variance, eps=1e-5)
        yield launch("add", x, y)
        yield launch("global_avg_pool", x)
        pooled, place = launch("max_pool2d", x, kernel=3, stride=2, padding=1)
        yield from (pooled, place)
        yield launch("max_pool2d_gradient", pooled, place, shape=x.shape)
        logits, labels = x[:, 0, 0], np.arange(len(x)) % 16
        yield launch("softmax_cross_entropy", logits, labels)
        yield launch("softmax_cross_entropy_gradient", np.ones((), np.float32), logits, labels)


@pytest.mark.parametrize("name", ["numba", "numba.winograd"])
def test_the_number_of_threads_changes_no_byte(name, monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    wanted = None
    for count in "1234":
        monkeypatch.setenv("NUMBA_NUM_THREADS", count)
        got = [array.tobytes() for array in results(np.random.default_rng(0), name)]
        wanted = wanted or got
        assert got == wanted


COMPILED = [(op, name) for op in registry.ops() for name in registry.names(op) if backend_of(name) == "numba"]


@pytest.mark.parametrize(("op", "name"), COMPILED)
def test_nor_that_of_any_kernel_on_the_samples_of_its_contract(op, name, monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    got = set()
    for count in "1234":
        monkeypatch.setenv("NUMBA_NUM_THREADS", count)
        with use(**{op: name}):
            cases = CONTRACTS[op].cases(np.random.default_rng(1))
            arrays = [launch(op, *case.arrays, **case.params) for case in cases]
        got.add(b"".join(a.tobytes() for each in arrays for a in (each if isinstance(each, tuple) else (each,))))
    assert len(got) == 1


def test_an_image_does_not_depend_on_its_batch():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((9, 12, 11, 16), np.float32), rng.standard_normal((3, 3, 16, 16), np.float32)
    with use(conv="numba"):
        together = launch("conv2d", x, w, **GEOMETRY)
        assert launch("conv2d", x[4:5], w, **GEOMETRY).tobytes() == together[4:5].tobytes()


def test_every_item_is_done_once(monkeypatch):
    for count in ("1", "2", "3", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", count)
        for items in (0, 1, 2, 7, 100):
            seen = []
            threads.share(lambda start, stop, seen=seen: seen.extend(range(start, stop)), items, 10**9)
            assert sorted(seen) == list(range(items))


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")

    def fails(start, stop):
        if start > 0:
            raise ValueError("in part")

    with pytest.raises(ValueError, match="in part"):
        threads.share(fails, 12, 10**9)
    threads.share(lambda start, stop: None, 12, 10**9)  # and the threads are still there


def test_an_interrupted_call_leaves_nothing_to_the_next(monkeypatch):
    """The answer of a thread that was not waited for is not taken for that of the next call."""
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    main, begun = threading.main_thread(), threading.Event()

    def slow(start, stop):
        if threading.current_thread() is main:
            begun.wait(20)
        elif not begun.is_set():
            begun.set()
            time.sleep(0.3)  # by now the calling thread has done all other parts, and waits
            signal.pthread_kill(main.ident, signal.SIGINT)
            time.sleep(0.3)

    with pytest.raises(KeyboardInterrupt):
        threads.share(slow, 12, 10**9)
    ours = []

    def record(start, stop):
        time.sleep(0.1 if threading.current_thread() is main else 0.6)
        ours.extend(range(start, stop))

    threads.share(record, 12, 10**9)
    assert sorted(ours) == list(range(12))


def test_callers_on_several_threads_do_not_wait_for_each_other(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    inner = []

    def outer(start, stop):
        threads.share(lambda a, b: inner.extend(range(a, b)), 4, 10**9)

    caller = threading.Thread(target=threads.share, args=(outer, 2, 10**9))
    caller.start()
    caller.join(20)
    assert not caller.is_alive()
    assert sorted(inner) == sorted([0, 1, 2, 3] * 2)


def test_kernels_called_on_several_threads_at_once(monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")

    def whole_step(_=None):
        return [array.tobytes() for array in results(np.random.default_rng(0))]

    wanted = whole_step()
    with ThreadPoolExecutor(4) as pool:
        assert all(got == wanted for got in pool.map(whole_step, range(12)))


def test_a_read_only_array_needs_no_version_of_its_own(monkeypatch):
    got = []
    array = np.arange(6.0).reshape(2, 3)
    array.setflags(write=False)
    threads.share(lambda start, stop, a, pair, n: got.extend((a, *pair, n)), 1, 1, array, (array, 5), 7)
    assert (got[2], got[3]) == (5, 7)
    for seen in got[:2]:
        assert seen.flags.writeable
        assert seen.__array_interface__["data"][0] == array.__array_interface__["data"][0]
        np.testing.assert_array_equal(seen, array)


@pytest.mark.parametrize("value", ["", "0", "-2", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_one_sentence(value, python):
    """Before Numba is imported, which has a traceback or a warning for it."""
    done = python("import tinyres, numpy; tinyres.ops.relu(numpy.ones(3))", NUMBA_NUM_THREADS=value)
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"NUMBA_NUM_THREADS is {value!r}; set it to a whole number of 1 or more, or unset it.")
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("value", "right"), [("nonsense", False), ("+avx,", False), ("avx2,+fma", False), ("+avx,+fma", True)]
)
def test_features_of_a_processor_are_read_before_llvm_does(value, right, python):
    """It would end the process."""
    done = python("import tinyres; tinyres.kernels.registry.usual('relu', 'cpu')", NUMBA_CPU_FEATURES=value)
    assert (done.returncode == 0) == right
    assert right or "write +name or -name, with commas between" in done.stderr.splitlines()[-1]


def test_without_compilation_numpy_takes_over(python):
    program = """
import tinyres, numpy
assert tinyres.ops.relu(numpy.array([-1.0, 2.0])).numpy().tolist() == [0, 2]
assert tinyres.kernels.registry.resolve("conv2d", "float32", "cpu").name == "numpy"
with tinyres.use(relu="numba"):
    pass
"""
    said = python(program, NUMBA_DISABLE_JIT="1").stderr.splitlines()[-1]
    assert said.endswith("NUMBA_DISABLE_JIT is set, and these kernels exist only compiled; unset it.")


def test_a_numba_that_cannot_be_imported_says_so(python):
    program = """
import sys
sys.modules["numba"] = None
import tinyres, numpy
assert tinyres.kernels.registry.resolve("relu", "float32", "cpu").name == "numpy"
with tinyres.use(relu="numba"):
    pass
"""
    said = python(program).stderr.splitlines()[-1]
    assert "kernel 'numba' of relu is not available: Numba cannot be imported (" in said
    assert 'python -m pip install --upgrade "numba"' in said


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_its_own_threads(monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    threads.share(lambda start, stop: None, 4, 1)  # the parent has its threads now
    child = os.fork()
    if child == 0:
        seen = []
        threads.share(lambda start, stop: seen.append(stop - start), 4, 1)
        os._exit(0 if sum(seen) == 4 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
