"""Max pooling and global average pooling with their gradients, image by image, the channels of a pixel together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any


@njit(nogil=True, cache=True)
def _largest(start, stop, x, y, place, size, stride, padding):  # type: ignore[no-untyped-def]
    _, h, w, channels = x.shape
    for n in range(start, stop):
        image = x[n]
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                best, where = y[n, i, j], place[n, i, j]
                where[:] = -1
                for row in range(max(0, i * stride - padding), min(h, i * stride - padding + size)):
                    for column in range(max(0, j * stride - padding), min(w, j * stride - padding + size)):
                        pixel, first = image[row, column], (row * w + column) * channels
                        for c in range(channels):
                            value = pixel[c]
                            nan_wins = value != value and best[c] == best[c]
                            if where[c] < 0 or value > best[c] or nan_wins:
                                best[c], where[c] = value, first + c


@njit(nogil=True, cache=True)
def _scatter(start, stop, dy, place, dx):  # type: ignore[no-untyped-def]
    for n in range(start, stop):
        errors, places, image = dy[n], place[n], dx[n]
        image[:] = 0
        for k in range(len(places)):
            image[places[k]] += errors[k]


@njit(nogil=True, cache=True)
def _gather(start, stop, x, place, y):  # type: ignore[no-untyped-def]
    for n in range(start, stop):
        image, places, values = x[n], place[n], y[n]
        for k in range(len(places)):
            values[k] = image[places[k]]


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


def _rows(array: Array) -> Array:
    """An image, or what belongs to one, in a row: [N, ...] -> [N, values]."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


@kernel("max_pool2d", "numba")
def max_pool2d(x: Array, *, kernel: int, stride: int, padding: int, out: tuple[Array, Array]) -> None:
    """[N,H,W,C] -> the maxima [N,I,J,C] and where each stands in x[n].ravel(); of equal values the first wins."""
    share(_largest, len(x), out[0].size * kernel**2, x, *out, kernel, stride, padding)


@kernel("max_pool2d_gradient", "numba")
def max_pool2d_gradient(dy: Array, place: Array, *, shape: tuple[int, ...], out: Array) -> None:
    """Each dy goes to where its maximum stood; windows that share a maximum add up."""
    place = place.astype(np.int64, copy=False)
    share(_scatter, len(dy), 2 * dy.size + out.size, *(_rows(array) for array in (dy, place, out)))


@kernel("max_pool2d_gather", "numba")
def max_pool2d_gather(x: Array, place: Array, *, out: Array) -> None:
    """Read x where the maxima stood: the transpose of the gradient."""
    place = place.astype(np.int64, copy=False)
    share(_gather, len(x), 2 * out.size, *(_rows(array) for array in (x, place, out)))


@kernel("global_avg_pool", "numba")
def global_avg_pool(x: Array, *, out: Array) -> None:
    share(_average, len(x), x.size, x, out)


@kernel("global_avg_pool_gradient", "numba")
def global_avg_pool_gradient(dy: Array, *, shape: tuple[int, ...], out: Array) -> None:
    share(_spread, len(out), out.size, dy, out)
