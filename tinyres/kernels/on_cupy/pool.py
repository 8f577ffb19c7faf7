"""Shortcuts and pooling: a thread a value of the result, so that nothing is added up by two of them.

Not yet run on a GPU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.registry import kernel

Array = Any


@kernel("pad_shortcut", "cupy", device="cuda")
def pad_shortcut(x: Array, *, channels: int, stride: int, out: Array) -> None:
    """[N,H,W,C] -> [N,I,J,channels]; the zeros are appended after the C channels of x."""
    sizes = grid.ints(*x.shape[1:], *out.shape[1:3], channels, stride)
    grid.values("shortcut.cuh", "pad_shortcut", out, x, out, np.int64(out.size), *sizes)


@kernel("pad_shortcut_gradient", "cupy", device="cuda")
def pad_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int, out: Array) -> None:
    sizes = grid.ints(*shape[1:], *dy.shape[1:], stride)
    grid.values("shortcut.cuh", "pad_shortcut_gradient", out, dy, out, np.int64(out.size), *sizes)


@kernel("max_pool2d", "cupy", device="cuda")
def max_pool2d(x: Array, *, kernel: int, stride: int, padding: int, out: tuple[Array, Array]) -> None:
    """[N,H,W,C] -> the maxima [N,I,J,C] and where each stands in x[n].ravel()."""
    y, place = out
    sizes = grid.ints(*x.shape[1:], *y.shape[1:3], kernel, stride, padding)
    grid.values("pool.cuh", "max_pool", y, x, y, place, np.int64(y.size), *sizes)


@kernel("max_pool2d_gradient", "cupy", device="cuda")
def max_pool2d_gradient(dy: Array, place: Array, *, shape: tuple[int, ...], out: Array) -> None:
    """Each dy goes to where its maximum stood, windows that share one in their order."""
    n, *pixels, c = shape
    if not (out.size and dy.size):
        out.fill(0)
        return
    place, mixed = place.astype(np.int64, copy=False), cuda.module().zeros(1, np.int32)
    blocks = -(-place.size // grid.THREADS)
    cuda.launch("pool.cuh", "kept_channels", blocks, grid.THREADS, place, mixed, np.int64(place.size), np.int32(c))
    sizes = np.int64(n * c), *grid.ints(math.prod(pixels), math.prod(dy.shape[1:3]), c)
    cuda.launch("pool.cuh", f"max_pool_gradient<{grid.real(out)}>", -(-n * c // 64), 64, dy, place, mixed, out, *sizes)


@kernel("global_avg_pool", "cupy", device="cuda")
def global_avg_pool(x: Array, *, out: Array) -> None:
    n, h, w, c = x.shape
    grid.values("pool.cuh", "average", out, x, out, np.int64(n * c), *grid.ints(h * w, c))


@kernel("global_avg_pool_gradient", "cupy", device="cuda")
def global_avg_pool_gradient(dy: Array, *, shape: tuple[int, ...], out: Array) -> None:
    _, h, w, c = shape
    grid.values("pool.cuh", "average_gradient", out, dy, out, np.int64(out.size), *grid.ints(h * w, c))
