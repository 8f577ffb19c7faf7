"""Shortcut and pooling of the oracle, window by window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.kernels.naive import oracle

Array = Any


@oracle
def pad_shortcut(x: Array, *, channels: int, stride: int) -> Array:
    return np.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, channels - x.shape[3])))


@oracle
def pad_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int) -> Array:
    dx = np.zeros(shape)
    dx[:, ::stride, ::stride] = dy[..., : shape[3]]
    return dx


@oracle
def max_pool2d(x: Array, *, kernel: int, stride: int, padding: int) -> Array:
    n, h, w, c = x.shape
    high, wide = ((size + 2 * padding - kernel) // stride + 1 for size in (h, w))
    y, place = np.empty((n, high, wide, c)), np.empty((n, high, wide, c), np.int64)
    for b, i, j, k in np.ndindex(*y.shape):
        window = [
            (p, q)
            for p in range(max(i * stride - padding, 0), min(i * stride - padding + kernel, h))
            for q in range(max(j * stride - padding, 0), min(j * stride - padding + kernel, w))
        ]
        values = np.array([x[b, p, q, k] for p, q in window])
        p, q = window[values.argmax()]  # the first of equal values wins, and a NaN over all
        y[b, i, j, k], place[b, i, j, k] = x[b, p, q, k], (p * w + q) * c + k
    return y, place


@oracle
def max_pool2d_gradient(dy: Array, place: Array, *, shape: tuple[int, ...]) -> Array:
    dx = np.zeros((shape[0], math.prod(shape[1:])))
    for i in np.ndindex(*dy.shape):
        dx[i[0], place[i]] += dy[i]
    return dx.reshape(shape)


@oracle
def max_pool2d_gather(x: Array, place: Array) -> Array:
    return np.array([x[i[0]].ravel()[place[i]] for i in np.ndindex(*place.shape)]).reshape(place.shape)


@oracle
def global_avg_pool(x: Array) -> Array:
    return x.mean((1, 2))


@oracle
def global_avg_pool_gradient(dy: Array, *, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape) + dy[:, None, None, :] / (shape[1] * shape[2])
