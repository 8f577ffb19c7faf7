"""Compiled functions on all cores: Python threads, since a function compiled with `nogil` runs without the interpreter.

A kernel is a serial function of a range of items (images, blocks of rows), each of which it computes on its own, so the
result cannot depend on how many threads there are. The calling thread takes the first share itself. Numba's own
`parallel=True` would do the same but takes seven seconds to compile a function, not one.

The number of threads is that of the cores the process may use, or NUMBA_NUM_THREADS if that is set.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Task = tuple[Callable[..., Any], tuple[Any, ...]]

# Below this many elementary operations the second thread costs more to wake (some 20 microseconds) than it saves.
WORTH_SHARING = 200_000


class _Worker:
    """A thread that runs the tasks put before it, one at a time."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[Task] = SimpleQueue()
        self.outcomes: SimpleQueue[BaseException | None] = SimpleQueue()
        threading.Thread(target=self._work, name="tinyres-kernels", daemon=True).start()

    def _work(self) -> None:
        while True:
            function, arguments = self.tasks.get()
            try:
                function(*arguments)
                self.outcomes.put(None)
            except BaseException as error:
                self.outcomes.put(error)


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
    """Threads that a kernel may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else cores


def share(function: Callable[..., Any], items: int, operations: int, *arguments: Any) -> None:
    """Call ``function(start, stop, *arguments)`` so that the ranges cover ``range(items)``, on several threads.

    Parameters
    ----------
    function : callable
        Compiled with ``nogil=True``; computes each item on its own.
    items : int
    operations : int
        Rough number of operations in all; small work stays on the calling thread.
    """
    threads = min(thread_count(), items) if operations >= WORTH_SHARING else 1
    if threads <= 1 or not _busy.acquire(blocking=False):  # two callers at once: the second works alone
        function(0, items, *arguments)
        return
    try:
        while len(_workers) < threads - 1:
            _workers.append(_Worker())
        bounds = [items * k // threads for k in range(threads + 1)]
        helpers = _workers[: threads - 1]
        for worker, start, stop in zip(helpers, bounds[1:], bounds[2:], strict=False):
            worker.tasks.put((function, (start, stop, *arguments)))
        try:
            function(bounds[0], bounds[1], *arguments)
        finally:
            errors = [worker.outcomes.get() for worker in helpers]
        for error in errors:
            if error is not None:
                raise error
    finally:
        _busy.release()
