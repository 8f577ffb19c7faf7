"""Max pooling by comparing the shifted inputs one tap at a time, and global average pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel

Array = Any


@kernel("max_pool2d", "numpy", strided=True)
def max_pool2d(x: Array, *, kernel: int, stride: int, padding: int, out: tuple[Array, Array]) -> None:
    """[N,H,W,C] -> the maxima [N,I,J,C] and where each stands in x[n].ravel(). The first of equal values wins; padding
    never does.
    """
    y, place = out
    _, h, w, c = x.shape
    (high, wide), around = y.shape[1:3], ((0, 0), (padding, padding + stride), (padding, padding + stride), (0, 0))
    padded = np.pad(x, around, constant_values=-np.inf)
    places = np.pad(np.arange(h * w * c).reshape(1, h, w, c), around)
    place[...] = -1
    for r in range(kernel):
        for s in range(kernel):
            tap = slice(None), slice(r, r + stride * high, stride), slice(s, s + stride * wide, stride)
            value, at = padded[tap], np.broadcast_to(places[tap], y.shape)
            inside = np.broadcast_to(_inside(h, w, r, s, (high, wide), stride, padding), y.shape)
            better = inside & ((place < 0) | (value > y) | (np.isnan(value) & ~np.isnan(y)))
            np.copyto(y, value, where=better)
            np.copyto(place, at, where=better)


def _inside(h: int, w: int, r: int, s: int, size: tuple[int, int], stride: int, padding: int) -> Array:
    """Whether tap (r, s) of each window lies on the image: [1, I, J, 1]."""
    rows = np.arange(size[0]) * stride + r - padding
    columns = np.arange(size[1]) * stride + s - padding
    on_rows, on_columns = (rows >= 0) & (rows < h), (columns >= 0) & (columns < w)
    return (on_rows[:, None] & on_columns)[None, :, :, None]


@kernel("max_pool2d_gradient", "numpy", strided=True)
def max_pool2d_gradient(dy: Array, place: Array, *, shape: tuple[int, ...], out: Array) -> None:
    """Each dy goes to where its maximum stood; windows that share a maximum add up."""
    out[...] = 0
    images = np.arange(shape[0])[:, None, None, None]
    np.add.at(out.reshape(shape[0], math.prod(shape[1:])), (images, place), dy)


@kernel("max_pool2d_gather", "numpy")
def max_pool2d_gather(x: Array, place: Array, *, out: Array) -> None:
    """Read x where the maxima stood: the transpose of the gradient."""
    flat = np.take_along_axis(x.reshape(len(x), -1), place.reshape(len(place), -1), axis=1)
    out[...] = flat.reshape(place.shape)


@kernel("global_avg_pool", "numpy", strided=True)
def global_avg_pool(x: Array, *, out: Array) -> None:
    np.mean(x, axis=(1, 2), out=out)


@kernel("global_avg_pool_gradient", "numpy", strided=True)
def global_avg_pool_gradient(dy: Array, *, shape: tuple[int, ...], out: Array) -> None:
    out[...] = (dy / (shape[1] * shape[2]))[:, None, None, :]
