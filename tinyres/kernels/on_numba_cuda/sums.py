"""Sums over blocks: each block leaves what it added up in a row of a buffer, and the rows are added in a fixed order.

Adding into one place from all blocks (an atomic addition) would add in the order in which they happen to come, and
floating-point sums depend on their order: no two runs would be alike. Not yet run on a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda

from tinyres.kernels.on_numba_cuda.device import blocks_for, launch, simulated

Array = Any


@functools.cache
def _compiled(VALUES: int, LANES: int) -> Any:
    """Lane l of a value adds rows l, l + LANES, ...; then the lanes are added in a tree: LANES is a power of two."""
    THREADS = VALUES * LANES

    @cuda.jit
    def add_rows(rows, count, width, total):  # type: ignore[no-untyped-def]
        lanes = cuda.shared.array(THREADS, np.float64)
        t = cuda.threadIdx.x
        v = cuda.blockIdx.x * VALUES + t % VALUES
        mine = 0.0
        if v < width:
            for row in range(t // VALUES, count, LANES):
                mine += rows[row * width + v]
        lanes[t] = mine
        half = LANES // 2
        while half > 0:
            cuda.syncthreads()  # those above have written theirs
            if t < half * VALUES:
                lanes[t] += lanes[t + half * VALUES]
            half //= 2
        if t < VALUES and v < width:
            total[v] = lanes[t]

    return add_rows


def add_rows(rows: Array, total: Array) -> None:
    """Write the sum of the rows of `rows` [count, width], taken in float64, into `total`, of `width` values."""
    values, lanes = (4, 2) if simulated() else (32, 8)
    count, width = rows.shape
    launch(
        _compiled(values, lanes), blocks_for(width, values), values * lanes,
        rows.reshape(-1), count, width, total.reshape(-1),
    )  # fmt: skip
