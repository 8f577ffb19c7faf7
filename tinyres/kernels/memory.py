"""Result arrays from memory that earlier results have given back.

A training step makes the same few hundred large arrays every time. Fresh memory for them would come from the operating
system page by page, each zeroed at its first touch, which costs as much as a pass over the data. So an array of 64 KiB
or more is a view of a block that returns to a free list when the array, and every view of it, is gone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np

LARGE = 1 << 16  # smaller arrays come from memory that the allocator itself keeps
ALIGNMENT = 64  # a cache line, and the widest vector

_free: dict[int, list[np.ndarray]] = defaultdict(list)


class _Loan:
    """Owner of a block while an array uses it; NumPy keeps the owner alive as long as any view of the array."""

    __slots__ = ("__array_interface__", "block")

    def __init__(self, block: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.block = block
        start = -(-block.__array_interface__["data"][0] // ALIGNMENT) * ALIGNMENT
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": (start, False)}

    def __del__(self, free: dict[int, list[np.ndarray]] = _free) -> None:  # bound early: globals die first at exit
        free[len(self.block)].append(self.block)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An uninitialised array, like `numpy.empty`."""
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    size += ALIGNMENT
    return np.asarray(_Loan(_block(size), shape, dtype))


def _block(size: int) -> np.ndarray:
    try:
        return _free[size].pop()
    except IndexError:
        pass
    try:
        return np.empty(size, np.uint8)
    except MemoryError:  # blocks of other sizes may be lying about
        if not release():
            raise
        return np.empty(size, np.uint8)


def release() -> int:
    """Give the free blocks back to the operating system; returns how many bytes that were."""
    total = sum(len(block) for blocks in list(_free.values()) for block in blocks)  # another thread may give back
    _free.clear()
    return total
