"""What the Numba backend promises beyond its contracts: the same bytes on any number of threads, a cache that holds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from tinyres.kernels import launch, use
from tinyres.kernels.on_numba import threads

GEOMETRY = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}


def results(rng):
    """Every kernel of a training step, on enough data to be shared among threads."""
    x, w = rng.standard_normal((37, 16, 16, 16), np.float32), rng.standard_normal((3, 3, 16, 16), np.float32)
    gamma, beta = rng.standard_normal((2, 16), np.float32)
    with use(all="numba"):
        y = launch("conv2d", x, w, **GEOMETRY)
        yield y
        yield launch("conv2d_input", y, w, shape=x.shape, **GEOMETRY)
        yield launch("conv2d_weight", x, y, shape=w.shape, **GEOMETRY)
        z, mean, variance = launch("bn_add_relu", y, gamma, beta, x, eps=1e-5)
        yield from (z, mean, variance)
        yield from launch("bn_add_relu_gradient", x, z, y, gamma, mean, variance, eps=1e-5)
        yield launch("add", x, y)
        yield launch("global_avg_pool", x)


def test_the_number_of_threads_changes_no_byte(monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    wanted = None
    for count in "1234":
        monkeypatch.setenv("NUMBA_NUM_THREADS", count)
        got = [array.tobytes() for array in results(np.random.default_rng(0))]
        wanted = wanted or got
        assert got == wanted


def test_an_image_does_not_depend_on_its_batch():
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((9, 12, 11, 16), np.float32), rng.standard_normal((3, 3, 16, 16), np.float32)
    with use(conv="numba"):
        together = launch("conv2d", x, w, **GEOMETRY)
        assert launch("conv2d", x[4:5], w, **GEOMETRY).tobytes() == together[4:5].tobytes()


def test_every_item_is_done_once(monkeypatch):
    for count in ("1", "2", "3", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", count)
        for items in (1, 2, 7, 100):
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


PROGRAM = """
import numpy as np
from numba.core.dispatcher import Dispatcher
from tinyres.kernels import launch, use
from tinyres.kernels.on_numba import conv
x, w = np.ones((2, 8, 8, 16), np.float32), np.ones((3, 3, 16, 16), np.float32)
with use(conv="numba"):
    y = launch("conv2d", x, w, stride=1, padding=(1, 1, 1, 1), groups=1)
    launch("conv2d_weight", x, y, shape=w.shape, stride=1, padding=(1, 1, 1, 1), groups=1)
print(sum(sum(f.stats.cache_misses.values()) for f in (conv._correlate_images, conv._weight_sums)))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    misses = [
        int(subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True).stdout)
        for _ in range(2)
    ]
    assert misses[0] == 2
    assert misses[1] == 0


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
