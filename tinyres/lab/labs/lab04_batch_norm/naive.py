"""Batch norm by loops, one number at a time: what a student's version is timed against."""

from __future__ import annotations

import math
from typing import Any

Array = Any


def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    """[..., C], [C], [C] -> [..., C], [C], [C]."""
    y, mean, variance = out
    rows, results = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
    for c in range(x.shape[-1]):
        total = 0.0
        for value in rows[:, c]:
            total += float(value)
        mean[c] = centre = total / len(rows)
        squares = 0.0
        for value in rows[:, c]:
            squares += (float(value) - centre) ** 2
        variance[c] = squares / len(rows)
        root = math.sqrt(squares / len(rows) + eps)
        for i in range(len(rows)):
            results[i, c] = gamma[c] * (rows[i, c] - centre) / root + beta[c]


def input_gradient(
    dy: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    variance: Array,
    dgamma: Array,
    dbeta: Array,
    *,
    eps: float,
    out: Array,
) -> None:
    """Twice [..., C], five times [C] -> [..., C]."""
    rows, errors, results = (array.reshape(-1, x.shape[-1]) for array in (x, dy, out))
    for c in range(x.shape[-1]):
        root = math.sqrt(variance[c] + eps)
        for i in range(len(rows)):
            xhat = (rows[i, c] - mean[c]) / root
            results[i, c] = gamma[c] / root * (errors[i, c] - dbeta[c] / len(rows) - xhat * dgamma[c] / len(rows))
