"""A captured step of the emulated GPU: the work that was written down, and the pool that its arrays live in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyres.kernels.cuda.emulation import memory, recording


class Graph:
    """Work to be done again and again; the same as the graph of a real GPU."""

    def __init__(self, step: Callable[[], Any], warmups: int) -> None:
        self._pool = memory.Pool()
        with memory.using(self._pool):
            for _ in range(warmups):
                step()
            with recording.capture() as self._work:
                self.result = step()

    def launch(self) -> None:
        """Do the step once more."""
        for work in self._work:
            work()
