"""Convolution of the oracle, tap by tap.

y[n,i,j,f] = sum over r, s, c of x[n, i*stride + r - top, j*stride + s - left, c] * w[r,s,c,f]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.naive import oracle

Array = Any


def _taps(size: tuple[int, ...], window: tuple[int, ...], stride: int) -> Any:
    """(r, s, rows, columns): for each tap, the slices of the padded input that it meets, one position an output."""
    for r in range(window[0]):
        for s in range(window[1]):
            yield r, s, slice(r, r + stride * size[0], stride), slice(s, s + stride * size[1], stride)


def _zero_padded(x: Array, padding: tuple[int, ...], stride: int) -> Array:
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom + stride), (left, right + stride), (0, 0)))  # + stride: slices never run out


def _grouped(c: int, f: int, groups: int) -> Any:
    for g in range(groups):
        yield slice(g * c // groups, (g + 1) * c // groups), slice(g * f // groups, (g + 1) * f // groups)


@oracle
def conv2d(x: Array, w: Array, *, stride: int, padding: tuple[int, ...], groups: int) -> Array:
    top, bottom, left, right = padding
    high = (x.shape[1] + top + bottom - w.shape[0]) // stride + 1
    wide = (x.shape[2] + left + right - w.shape[1]) // stride + 1
    xp, y = _zero_padded(x, padding, stride), np.zeros((x.shape[0], high, wide, w.shape[3]))
    for r, s, rows, columns in _taps((high, wide), w.shape, stride):
        for c, f in _grouped(x.shape[3], w.shape[3], groups):
            y[..., f] += np.einsum("nijc,cf->nijf", xp[:, rows, columns, c], w[r, s, :, f])
    return y


@oracle
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int
) -> Array:
    dxp = _zero_padded(np.zeros(shape), padding, stride)
    for r, s, rows, columns in _taps(dy.shape[1:3], w.shape, stride):
        for c, f in _grouped(shape[3], w.shape[3], groups):
            dxp[:, rows, columns, c] += np.einsum("nijf,cf->nijc", dy[..., f], w[r, s, :, f])
    return dxp[:, padding[0] : padding[0] + shape[1], padding[2] : padding[2] + shape[2]]


@oracle
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int
) -> Array:
    xp, dw = _zero_padded(x, padding, stride), np.zeros(shape)
    for r, s, rows, columns in _taps(dy.shape[1:3], shape, stride):
        for c, f in _grouped(x.shape[3], shape[3], groups):
            dw[r, s, :, f] = np.einsum("nijc,nijf->cf", xp[:, rows, columns, c], dy[..., f])
    return dw


@oracle
def conv2d_stats(
    x: Array, w: Array, *, stride: int, padding: tuple[int, ...], groups: int
) -> tuple[Array, Array, Array]:
    y = conv2d(x, w, stride=stride, padding=padding, groups=groups)
    return y, y.mean((0, 1, 2)), y.var((0, 1, 2))
