"""Memory of the emulated GPU: a pool whose blocks are used again, as CuPy's are, and a limit that may be set.

What an array finds in its memory is NaN, never zeros by luck. An array that is gone gives its block back to the pool it
came from; a captured graph keeps a pool of its own, so its addresses stay valid, and a kernel of it that reads an array
after its block was given to another shows.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyres.errors import ConfigError
from tinyres.machine import variable

ALIGNMENT = 256


class OutOfMemoryError(MemoryError):
    """The emulated GPU has no room; the same name as CuPy's."""


class Pool:
    """Blocks that arrays give back, by size."""

    margin = ALIGNMENT  # bound here: arrays that a module holds die after this module's names

    def __init__(self) -> None:
        self.free: dict[int, list[np.ndarray]] = defaultdict(list)

    def take(self, size: int) -> np.ndarray:
        """A block of `size` bytes or a little more."""
        size = -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        if not self.free[size]:
            _reserve(size)
            self.free[size].append(np.empty(size + ALIGNMENT, np.uint8))
        block = self.free[size].pop()
        block.fill(0xFF)  # NaN in every type of float
        return block

    # The pool of a graph that is gone; its arrays are gone too, for they hold it. At exit this module's names may be.
    def __del__(self, at_exit: Callable[[], bool] = sys.is_finalizing) -> None:
        if not at_exit():
            _forget(self)

    def give(self, block: np.ndarray) -> None:
        """A block comes back."""
        self.free[len(block) - self.margin].append(block)


class _Loan:
    """Owner of a block while an array uses it; NumPy keeps the owner alive as long as any view of the array."""

    __slots__ = ("__array_interface__", "block", "pool")

    def __init__(self, pool: Pool, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.pool = pool
        self.block = pool.take(math.prod(shape) * dtype.itemsize)
        start = -(-self.block.__array_interface__["data"][0] // ALIGNMENT) * ALIGNMENT
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": (start, False)}

    def __del__(self) -> None:
        if hasattr(self, "block"):
            self.pool.give(self.block)


_common = Pool()
_pools = [_common]
_reserved = 0


def limit() -> int:
    """Bytes that the emulated GPU has: TINYRES_EMULATED_MEMORY, or 16 GiB."""
    given = variable("TINYRES_EMULATED_MEMORY")
    if given and not given.isdecimal():
        raise ConfigError(f"TINYRES_EMULATED_MEMORY is {given!r}; a number of bytes is wanted.")
    return int(given or 16 * 2**30)


def free() -> int:
    """Bytes that no pool has taken yet."""
    return max(0, limit() - _reserved)


def _reserve(size: int) -> None:
    global _reserved
    if size > free():
        release()
    if size > free():
        raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes (allocated so far: {_reserved:,} bytes).")
    _reserved += size


def release() -> None:
    """Give the blocks that are free in the common pool back to the GPU."""
    _forget(_common)


def _forget(pool: Pool) -> None:
    global _reserved
    _reserved -= sum(size * len(blocks) for size, blocks in pool.free.items())
    pool.free.clear()


@contextmanager
def using(pool: Pool) -> Iterator[None]:
    """Take memory from a pool inside a `with` block."""
    _pools.append(pool)
    try:
        yield
    finally:
        _pools.pop()


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An array whose floats are NaN, in memory of the pool in use."""
    return np.asarray(_Loan(_pools[-1], shape, dtype))
