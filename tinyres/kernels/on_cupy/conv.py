"""Convolution as a matrix product: im2col (`cuda/im2col.cuh`) and cuBLAS, the readable rung of the GPU's ladder.

    y = columns @ w         dw = columns^T @ dy         dx = col2im(dy @ w^T)

The columns of a 16-channel layer at batch 128 are 75 MB, nine times its images, written once and read once: that, not
arithmetic, is what it costs. Images go chunk by chunk, so that columns stay below COLUMN_BYTES; the chunks of a weight
gradient are added in order. Groups are a stack of matrices. cuBLAS cannot be captured into a graph by CuPy.
Not yet run on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.on_cupy.batch_norm import statistics
from tinyres.kernels.registry import kernel

Array = Any
Padding = tuple[int, int, int, int]
COLUMN_BYTES = 256 << 20


class _Columns:
    """The column matrix of a convolution: [groups, images * I * J, R * S * C/groups], some images at a time."""

    def __init__(
        self, x_shape: tuple[int, ...], w_shape: tuple[int, ...], y_shape: tuple[int, ...], stride: int,
        padding: Padding, groups: int,
    ) -> None:  # fmt: skip
        n, h, w, c = x_shape
        self.images, (high, wide), (r, s) = n, y_shape[1:3], w_shape[:2]
        self.pixels, self.groups, self.taps = high * wide, groups, r * s * c // groups
        self.geometry = grid.ints(h, w, c, high, wide, r, s, groups, stride, padding[0], padding[2])

    def chunks(self, itemsize: int) -> Iterator[slice]:
        """The images, so many at a time as the memory for columns allows, one at least."""
        step = max(1, COLUMN_BYTES // (self.groups * self.pixels * self.taps * itemsize))
        return (slice(start, min(start + step, self.images)) for start in range(0, self.images, step))

    def of(self, x: Array) -> Array:
        """The columns of some images."""
        rows = len(x) * self.pixels
        made = cuda.module().empty((self.groups, rows, self.taps), x.dtype)
        grid.values("im2col.cuh", "im2col", made, x, made, np.int64(made.size), np.int64(rows), *self.geometry)
        return made

    def back(self, columns: Array, dx: Array) -> None:
        """Add up in each pixel what was taken from there."""
        sizes = np.int64(dx.size), np.int64(columns.shape[1])
        grid.values("im2col.cuh", "col2im", dx, columns, dx, *sizes, *self.geometry)

    def stack(self, y: Array) -> Array:
        """[images, I, J, F] -> [groups, images * I * J, F/groups], a view."""
        return y.reshape(len(y) * self.pixels, self.groups, -1).swapaxes(0, 1)

    def filters(self, w: Array) -> Array:
        """[R, S, C/groups, F] -> [groups, R * S * C/groups, F/groups], a view."""
        return w.reshape(self.taps, self.groups, -1).swapaxes(0, 1)


@kernel("conv2d", "cupy", device="cuda", graphable=False)
def conv2d(x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: Array) -> None:
    """[N,H,W,C], [R,S,C/groups,F] -> [N,I,J,F]."""
    columns = _Columns(x.shape, w.shape, out.shape, stride, padding, groups)
    for images in columns.chunks(x.itemsize):
        columns.stack(out[images])[...] = cuda.module().matmul(columns.of(x[images]), columns.filters(w))


@kernel("conv2d_stats", "cupy", device="cuda", graphable=False)
def conv2d_stats(
    x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: tuple[Array, Array, Array]
) -> None:
    """The same, and mean and biased variance of each filter's outputs, in a pass over them."""
    y, mean, variance = out
    conv2d(x, w, stride=stride, padding=padding, groups=groups, out=y)
    statistics(y, mean, variance)


@kernel("conv2d_input", "cupy", device="cuda", graphable=False)
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,I,J,F], [R,S,C/groups,F] -> [N,H,W,C]."""
    columns = _Columns(shape, w.shape, dy.shape, stride, padding, groups)
    turned = columns.filters(w).swapaxes(1, 2)
    for images in columns.chunks(dy.itemsize):
        columns.back(cuda.module().matmul(columns.stack(dy[images]), turned), out[images])


@kernel("conv2d_weight", "cupy", device="cuda", graphable=False)
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,H,W,C], [N,I,J,F] -> [R,S,C/groups,F]."""
    columns = _Columns(x.shape, shape, dy.shape, stride, padding, groups)
    total = columns.filters(out)
    out.fill(0)
    for images in columns.chunks(x.itemsize):
        total += cuda.module().matmul(columns.of(x[images]).swapaxes(1, 2), columns.stack(dy[images]))
