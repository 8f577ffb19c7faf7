"""Convolution as a matrix product: im2col in blocks that fit the cache.

    columns[(n,i,j), (r,s,c)] = x[n, i*stride + r - top, j*stride + s - left, c]
    y = columns @ w             w viewed as [R*S*C, F]
    dw = columns^T @ dy         summed block by block
    dx = columns(dy) @ w'       the same columns, of dy with zeros between its rows and columns where stride > 1,
                                and w' the filters turned by 180 degrees, their channels exchanged

The whole column matrix of a 16-channel layer at batch 128 would be 75 MB; a block of it is at most COLUMN_BYTES, is
written once from a zero-padded copy of a few images, and is multiplied while it is still in the cache. Channels last
makes a row of columns R runs of S*C adjacent numbers. Cost: 2*N*I*J*R*S*C*F operations for each of the three. Source
of the method: Chellapilla, Puri, Simard, "High performance convolutional neural networks for document processing",
2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinyres.kernels.on_numpy.blocks import blocks
from tinyres.kernels.registry import kernel

Array = Any
Padding = tuple[int, int, int, int]
COLUMN_BYTES = 1 << 20  # measured best from 0.5 to 2 MB on a processor with 2 MB of second-level cache


@kernel("conv2d", "numpy")
def conv2d(x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: Array) -> None:
    """[N,H,W,C], [R,S,C/groups,F] -> [N,I,J,F]."""
    top, _, left, _ = padding
    for images, group, columns in _columns(x, w.shape, out.shape[1:3], stride, (top, left), 1, groups):
        _product(columns, w[..., group(w.shape[3])], out[images, ..., group(w.shape[3])])


@kernel("conv2d_input", "numpy")
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,I,J,F], [R,S,C/groups,F] -> [N,H,W,C]: the transposed convolution."""
    window, (top, _, left, _) = w.shape[:2], padding
    offset = window[0] - 1 - top, window[1] - 1 - left
    turned = w[::-1, ::-1].swapaxes(2, 3)  # [R,S,F,C/groups]
    for images, group, columns in _columns(dy, w.shape, shape[1:3], 1, offset, stride, groups):
        _product(columns, turned[..., group(dy.shape[3]), :], out[images, ..., group(shape[3])])


@kernel("conv2d_weight", "numpy")
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,H,W,C], [N,I,J,F] -> [R,S,C/groups,F]."""
    top, _, left, _ = padding
    out[...] = 0
    for images, group, columns in _columns(x, shape, dy.shape[1:3], stride, (top, left), 1, groups):
        filters = group(shape[3])
        errors = dy[images, ..., filters].reshape(len(columns), -1)
        out[..., filters] += (columns.T @ errors).reshape(*shape[:3], -1)


def _product(columns: Array, w: Array, out: Array) -> None:
    """Matrix product into a slice of the output, which is contiguous unless there are groups."""
    matrix = np.ascontiguousarray(w).reshape(-1, w.shape[3])
    if out.flags.c_contiguous:
        np.matmul(columns, matrix, out=out.reshape(len(columns), -1))
    else:
        out[...] = (columns @ matrix).reshape(out.shape)


def _columns(
    x: Array,
    window: tuple[int, ...],
    positions: tuple[int, ...],
    stride: int,
    offset: tuple[int, int],
    spread: int,
    groups: int,
) -> Iterator[tuple[slice, Any, Array]]:
    """Blocks of im2col: (the images, group -> its slice of an axis, columns [images*I*J, R*S*C/groups]).

    Input pixel (h, w) stands at (h*spread + offset[0], w*spread + offset[1]) of a zero canvas, over which the window
    moves by `stride`; `spread` > 1 is the zero insertion of the input gradient.
    """
    (r, s), (i, j), (n, h, w, c) = window[:2], positions, x.shape
    canvas_size = (i - 1) * stride + r, (j - 1) * stride + s
    rows, to_rows = _overlap(h, canvas_size[0], offset[0], spread)
    cols, to_cols = _overlap(w, canvas_size[1], offset[1], spread)
    as_it_is = (r, s, stride, spread, *offset) == (1, 1, 1, 1, 0, 0) and canvas_size == (h, w)
    bytes_per_image = i * j * r * s * c * x.itemsize
    canvas = columns = np.empty(0)
    for images in blocks(n, bytes_per_image, COLUMN_BYTES):
        m = images.stop - images.start
        if not as_it_is:
            if not len(canvas):  # the first block is the largest
                canvas = np.zeros((m, *canvas_size, c), x.dtype)
                columns = np.empty((m, i, j, r, s, c // groups), x.dtype)
            canvas[:m, to_rows, to_cols] = x[images, rows, cols]
        source = x[images] if as_it_is else canvas[:m]
        for g in range(groups):

            def group(size: int, g: int = g) -> slice:
                return slice(g * size // groups, (g + 1) * size // groups)

            if as_it_is:
                yield images, group, source[..., group(c)].reshape(m * i * j, c // groups)
                continue
            part = source[..., group(c)]
            sn, sh, sw, sc = part.strides
            windows = as_strided(
                part, (m, i, j, r, s, c // groups), (sn, sh * stride, sw * stride, sh, sw, sc), writeable=False
            )
            np.copyto(columns[:m], windows)
            yield images, group, columns[:m].reshape(m * i * j, -1)


def _overlap(size: int, canvas: int, offset: int, spread: int) -> tuple[slice, slice]:
    """Which of `size` pixels land on the canvas, and where: (slice of the input, slice of the canvas)."""
    first = max(0, -(offset // spread))
    last = max(first, min(size, -((offset - canvas) // spread)))
    start = first * spread + offset
    return slice(first, last), slice(start, start + (last - first) * spread, spread)
