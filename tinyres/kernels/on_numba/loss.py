"""Softmax cross-entropy row by row, each in float64 from its logits to its loss; the rows' losses are added in order.

loss = mean over n of  log(sum_k exp(z[n,k])) - z[n, label[n]],      z = logits less their row's maximum
dlogits = dloss * (softmax - one-hot) / N
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any
EXPONENTIAL = 20  # operations that one takes


@njit(nogil=True, cache=True)
def _largest(row):  # type: ignore[no-untyped-def]
    largest = row[0]
    for k in range(1, len(row)):
        largest = max(largest, row[k])
    return np.float64(largest)


@njit(nogil=True, cache=True)
def _losses(start, stop, logits, labels, losses):  # type: ignore[no-untyped-def]
    for n in range(start, stop):
        row = logits[n]
        largest = _largest(row)
        total = 0.0
        for k in range(len(row)):
            total += math.exp(row[k] - largest)
        losses[n] = math.log(total) - (row[labels[n]] - largest)


@njit(nogil=True, cache=True)
def _gradients(start, stop, logits, labels, factor, out):  # type: ignore[no-untyped-def]
    for n in range(start, stop):
        row = logits[n]
        largest = _largest(row)
        exponentials = np.empty(len(row))
        total = 0.0
        for k in range(len(row)):
            exponentials[k] = math.exp(row[k] - largest)
            total += exponentials[k]
        for k in range(len(row)):
            out[n, k] = factor * (exponentials[k] / total - (k == labels[n]))


@kernel("softmax_cross_entropy", "numba")
def softmax_cross_entropy(logits: Array, labels: Array, *, out: Array) -> None:
    losses = np.empty(len(logits))
    share(_losses, len(logits), EXPONENTIAL * logits.size, logits, labels.astype(np.int64, copy=False), losses)
    out[...] = losses.mean()


@kernel("softmax_cross_entropy_gradient", "numba")
def softmax_cross_entropy_gradient(dloss: Array, logits: Array, labels: Array, *, out: Array) -> None:
    factor = float(dloss) / len(labels)
    operations = EXPONENTIAL * logits.size
    share(_gradients, len(logits), operations, logits, labels.astype(np.int64, copy=False), factor, out)
