"""Compiled functions on all cores: Python threads, since a function compiled with `nogil` runs without the interpreter.

A kernel is a serial function of a range of items (images, blocks of rows), each of which it computes on its own, so the
result cannot depend on how many threads there are. The calling thread works with the others. Numba's own
`parallel=True` would do the same but takes several times as long to compile.

The number of threads is that of the cores the process may use, or NUMBA_NUM_THREADS if that is set.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np

from tinyres.errors import KernelError
from tinyres.machine import cores, variable

# Below this many operations, about as many nanoseconds, the second thread costs more to wake than it saves.
WORTH_SHARING = 400_000
# Each thread takes the next part of the range when it is free, first large parts, then smaller ones (guided scheduling,
# Polychronopoulos and Kuck 1987): a thread that wakes late or whose core is busy holds up the others by little. To take
# a part costs some ten microseconds of Python.
LEAST_PART = 12  # the smallest part is a twelfth of a thread's share
LEAST_WORK = 2  # and at least half of what is worth sharing


Outcomes = SimpleQueue[BaseException | None]


class _Window:
    """The memory of a read-only array as if it could be written to: Numba would compile a version for those too."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def _writeable(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same, with windows on arrays that are read-only, also in tuples that begin with an array."""
    changed = list(arguments)
    for n, argument in enumerate(arguments):
        if type(argument) is np.ndarray:
            if not argument.flags.writeable:
                changed[n] = np.asarray(_Window(argument))
        elif type(argument) is tuple and argument and type(argument[0]) is np.ndarray:
            changed[n] = _writeable(argument)
    return tuple(changed)


# What threads watch (`spin.py`): how many calls have been shared, and how many tasks each worker has done. A number has
# a line of the cache to itself.
_board = np.zeros(8 * 257, np.int64)
_POSTED = 0


class _Worker:
    """A thread that runs the tasks put before it, one at a time, and answers each in the queue that came with it."""

    def __init__(self, number: int) -> None:
        from tinyres.kernels.on_numba.spin import LOOKS, watch

        self.place = 8 * (1 + number % 256)  # on the board
        self.looks = LOOKS if number + 1 < cores() else 0  # where cores are fewer than threads, watching is in the way
        self.watch = watch
        watch(_board, _POSTED, -1, 1)  # compiled here, not by two threads at once
        self.tasks: SimpleQueue[tuple[Callable[[], None], Outcomes]] = SimpleQueue()
        threading.Thread(target=self._work, name="tinyres-kernels", daemon=True).start()

    def _work(self) -> None:
        while True:
            posted = int(_board[_POSTED])
            if self.tasks.empty():
                self.watch(_board, _POSTED, posted, self.looks)
            task, outcomes = self.tasks.get()
            try:
                task()
                outcomes.put(None)
            except BaseException as error:
                outcomes.put(error)
            _board[self.place] += 1
            del task, outcomes  # and with them the arrays, while it waits

    def answer(self, done: int, outcomes: Outcomes) -> BaseException | None:
        """What came of one more task; `done` had been done when it was given."""
        self.watch(_board, self.place, done, self.looks)
        return outcomes.get()


_workers: list[_Worker] = []
_busy = threading.Lock()


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _busy
    _workers.clear()
    _busy = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def thread_count() -> int:
    """Threads that a kernel may use; KernelError where NUMBA_NUM_THREADS is no number of threads."""
    wanted = variable("NUMBA_NUM_THREADS")
    if wanted is None:
        return cores()
    if not (wanted.isdecimal() and int(wanted) > 0):
        raise KernelError(f"NUMBA_NUM_THREADS is {wanted!r}; set it to a whole number of 1 or more, or unset it.")
    return int(wanted)


@functools.cache
def _parts(items: int, threads: int, least: int) -> list[int]:
    """Where the parts, of at least `least` items, begin, and the last one ends."""
    bounds, least = [0], max(1, least, items // (threads * LEAST_PART))
    while (left := items - bounds[-1]) > 0:
        bounds.append(bounds[-1] + min(left, max(least, left // (2 * threads))))
    return bounds


def share(function: Callable[..., Any], items: int, operations: int, *arguments: Any) -> None:
    """Call ``function(start, stop, *arguments)`` so that the ranges cover ``range(items)``, on several threads.

    Parameters
    ----------
    function : callable
        Compiled with ``nogil=True``; computes each item on its own.
    items : int
    operations : int
        Rough number of vector operations, or of values that pass by, in all; small work stays on the calling thread.
    *arguments
        Arrays and numbers, and tuples of them. A read-only array must be one that the function only reads.

    Raises
    ------
    KernelError
        Where NUMBA_NUM_THREADS is no number of threads.
    """
    if items == 0:
        return
    arguments = _writeable(arguments)
    threads = min(thread_count(), items) if operations >= WORTH_SHARING else 1
    if threads <= 1 or not _busy.acquire(blocking=False):  # two callers at once: the second works alone
        function(0, items, *arguments)
        return
    bounds = _parts(items, threads, items * WORTH_SHARING // (LEAST_WORK * max(1, operations)))
    parts = len(bounds) - 1
    following = itertools.count()

    def take() -> None:
        while (k := next(following)) < parts:
            function(bounds[k], bounds[k + 1], *arguments)

    try:
        while len(_workers) < threads - 1:
            _workers.append(_Worker(len(_workers)))
        # A queue of this call alone: one whose caller is interrupted here leaves its answers to nobody else.
        outcomes: Outcomes = SimpleQueue()
        helpers = [(worker, int(_board[worker.place])) for worker in _workers[: threads - 1]]
        for worker, _ in helpers:
            worker.tasks.put((take, outcomes))
        _board[_POSTED] += 1
        try:
            take()
        finally:
            errors = [worker.answer(done, outcomes) for worker, done in helpers]
        for error in errors:
            if error is not None:
                raise error
    finally:
        _busy.release()
