"""Global average pooling and its gradient, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any


@njit(nogil=True, cache=True)
def _average(start, stop, x, y):  # type: ignore[no-untyped-def]
    _, h, w, channels = x.shape
    sums = np.empty(channels, x.dtype)
    for n in range(start, stop):
        sums[:] = 0
        image = x[n]
        for i in range(h):
            for j in range(w):
                for c in range(channels):
                    sums[c] += image[i, j, c]
        for c in range(channels):
            y[n, c] = sums[c] / (h * w)


@njit(nogil=True, cache=True)
def _spread(start, stop, dy, dx):  # type: ignore[no-untyped-def]
    _, h, w, channels = dx.shape
    share_of_each = np.empty(channels, dx.dtype)
    for n in range(start, stop):
        for c in range(channels):
            share_of_each[c] = dy[n, c] / (h * w)
        image = dx[n]
        for i in range(h):
            for j in range(w):
                for c in range(channels):
                    image[i, j, c] = share_of_each[c]


@kernel("global_avg_pool", "numba")
def global_avg_pool(x: Array, *, out: Array) -> None:
    share(_average, len(x), x.size, x, out)


@kernel("global_avg_pool_gradient", "numba")
def global_avg_pool_gradient(dy: Array, *, shape: tuple[int, ...], out: Array) -> None:
    share(_spread, len(out), out.size, dy, out)
