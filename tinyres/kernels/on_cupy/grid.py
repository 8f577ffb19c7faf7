"""How work is divided among the threads of a GPU, and the few things that every launch needs to be told.

Not yet run on a GPU.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinyres.kernels import cuda

Array = Any
THREADS = 256  # of a block
TILE = 32  # threads side by side, as in reduce.cuh
EACH = 4  # rows, or groups of four values, of a thread: enough loads in flight, and still many blocks
BLOCKS = 2  # blocks a multiprocessor that a sum is divided into at most: its parts are added up by one block
COUNTERS = 65536  # as many as a grid may have blocks along y


def real(array: Array) -> str:
    """The C++ type of a floating array."""
    return {"float32": "float", "float64": "double"}[array.dtype.name]


def ints(*numbers: int) -> tuple[np.int32, ...]:
    """Numbers as C++'s int."""
    return tuple(map(np.int32, numbers))


def aligned(*arrays: Array | None) -> bool:
    """Whether four neighbours can be read at once from all these arrays."""
    return all(array is None or array.data.ptr % 16 == 0 for array in arrays)


def values(file: str, kernel: str, result: Array, *arguments: Any, each: int = 1) -> None:
    """Launch a kernel with a thread for every value of the result, or for every `each` of them."""
    if result.size:
        cuda.launch(file, f"{kernel}<{real(result)}>", -(-result.size // (THREADS * each)), THREADS, *arguments)


def rows(count: int, channels: int, most: int | None = None) -> tuple[int, int]:
    """Blocks for the rows of a matrix and for its channels, four a thread if they divide by 4, as in reduce.cuh."""
    groups = channels if channels % 4 else channels // 4
    steps = max(1, -(-count // (THREADS // min(TILE, groups) * EACH)))  # of all the rows that a block reads at once
    turns = -(-steps // (most or steps))
    return -(-steps // turns), -(-groups // TILE)


def sums(count: int, channels: int) -> tuple[int, int]:
    """The same for a sum over the rows, whose partial sums should not be too many."""
    return rows(count, channels, BLOCKS * cuda.multiprocessors())


def matrix(x: Array, channels: int) -> tuple[int, int]:
    """The size of an array seen as [rows, channels]."""
    return math.prod(x.shape) // max(1, channels), channels


def counters() -> Array:
    """How many blocks have finished: zeros, which every kernel that counts leaves behind as zeros."""
    return _counters(cuda.module())


@functools.cache
def _counters(xp: Any) -> Array:
    return xp.zeros(COUNTERS, np.int32)
