"""Waiting without sleep: seen at once, given up after a while, and no work for the processor when nothing is to do."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip("numba")
from tinyres.kernels.launch import launch
from tinyres.kernels.on_numba import threads
from tinyres.kernels.on_numba.spin import watch


def test_a_change_by_another_thread_ends_it():
    board = np.zeros(16, np.int64)
    watch(board, 8, 1, 1)  # compiled
    ended = threading.Event()
    watcher = threading.Thread(target=lambda: (watch(board, 8, 0, 10**12), ended.set()), daemon=True)
    watcher.start()
    board[7] = board[9] = 1  # neighbours
    assert not ended.wait(0.05)
    board[8] = 5
    assert ended.wait(30)
    watcher.join()


def test_it_gives_up():
    watch(np.zeros(1, np.int64), 0, 0, 1000)


def test_other_python_code_runs_meanwhile():
    board = np.zeros(8, np.int64)
    watcher = threading.Thread(target=watch, args=(board, 0, 0, 10**12), daemon=True)
    watcher.start()
    assert sum(range(1000)) == 499500  # the lock of the interpreter is free
    board[0] = 1
    watcher.join(30)
    assert not watcher.is_alive()


def test_workers_that_have_nothing_to_do_sleep(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    x = np.ones((64, 32, 32, 16), np.float32)
    for _ in range(3):
        launch("relu", x)
    assert threads._workers
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.4)
    assert time.process_time() - before < 0.2
