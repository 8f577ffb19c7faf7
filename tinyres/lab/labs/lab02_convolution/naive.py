"""The convolution by loops, one number at a time: what a student's version is timed against."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def conv2d(x: Array, w: Array, *, stride: int, padding: tuple[int, ...], groups: int, out: Array) -> None:
    """[N,H,W,C], [R,S,C,F] -> [N,I,J,F], for one group."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                window = x[n, i * stride : i * stride + w.shape[0], j * stride : j * stride + w.shape[1]]
                for f in range(out.shape[3]):
                    out[n, i, j, f] = np.sum(window * w[..., f])
