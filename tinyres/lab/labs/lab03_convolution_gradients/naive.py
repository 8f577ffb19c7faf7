"""Both gradients by loops, one error at a time: what a student's version is timed against."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int, out: Array
) -> None:
    """[N,H,W,C], [N,I,J,F] -> [R,S,C,F], for one group."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    out[...] = 0
    for n in range(dy.shape[0]):
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                window = x[n, i * stride : i * stride + shape[0], j * stride : j * stride + shape[1]]
                for f in range(dy.shape[3]):
                    out[..., f] += window * dy[n, i, j, f]


def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int, out: Array
) -> None:
    """[N,I,J,F], [R,S,C,F] -> [N,H,W,C], for one group."""
    top, bottom, left, right = padding
    padded = np.zeros((shape[0], top + shape[1] + bottom, left + shape[2] + right, shape[3]), dy.dtype)
    for n in range(dy.shape[0]):
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                window = padded[n, i * stride : i * stride + w.shape[0], j * stride : j * stride + w.shape[1]]
                for f in range(dy.shape[3]):
                    window += w[..., f] * dy[n, i, j, f]
    out[...] = padded[:, top : top + shape[1], left : left + shape[2]]
