"""A stream of the emulated GPU that is being captured: work is written down with its addresses and done at each replay.

As on a GPU, what is captured is not carried out, and arrays are known by their addresses alone: a replay reads and
writes whatever lies there by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Work = Callable[[], Any]
_tape: list[Work] | None = None


def capturing() -> bool:
    """Whether work is being written down."""
    return _tape is not None


@contextmanager
def capture() -> Iterator[list[Work]]:
    """Write down the work of a `with` block."""
    global _tape
    if _tape is not None:
        raise RuntimeError("a capture is under way already")
    tape: list[Work] = []
    _tape = tape
    try:
        yield tape
    finally:
        _tape = None


def do(work: Work) -> None:
    """Carry out some work, or write it down."""
    if _tape is None:
        work()
    else:
        _tape.append(work)


def refuse(what: str) -> None:
    """What would wait for the GPU, or is not recorded, cannot be captured."""
    if _tape is not None:
        raise RuntimeError(f"{what} is not permitted while a stream is captured")


class _Place:
    """An address with a shape, that keeps nothing alive."""

    def __init__(self, host: np.ndarray) -> None:
        self.__array_interface__ = dict(host.__array_interface__)


def place(host: np.ndarray) -> np.ndarray:
    """The same memory as an array that does not own it."""
    return np.asarray(_Place(host))
