"""How long kernels have been compiling in this process, for whoever wants to show it.

Backends that compile at first use tell this here; a training run listens, so that nobody takes the first seconds for a
hang. A function that was found in the cache on disk has not been compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Compiled:
    """What has been compiled so far: functions, and the seconds that it took; whether it is kept on disk."""

    functions: int = 0
    seconds: float = 0.0
    kept: bool = True

    def sentence(self) -> str:
        """For a person: what it took, and whether it will take that again."""
        again = "kept for the next time" if self.kept else "not kept: no folder for it can be written to; see doctor"
        return f"kernels compiled in {self.seconds:.0f} s ({again})"


compiled = Compiled()
_listeners: list[Callable[[], None]] = []


@contextmanager
def watch(listener: Callable[[], None]) -> Iterator[None]:
    """Call `listener` each time a compilation begins, on the thread that compiles."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def begins() -> None:
    """A backend is about to compile a function."""
    for listener in list(_listeners):
        listener()


def ends(seconds: float) -> None:
    """It has done so, in that many seconds."""
    compiled.functions += 1
    compiled.seconds += seconds
