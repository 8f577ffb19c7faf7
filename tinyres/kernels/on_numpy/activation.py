"""Activations other than ReLU, elementwise but for softmax. A NaN that comes in goes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.masks import dropout_keeps
from tinyres.kernels.registry import kernel

Array = Any


@kernel("tanh", "numpy", strided=True)
def tanh(x: Array, *, out: Array) -> None:
    np.tanh(x, out=out)


@kernel("sigmoid", "numpy", strided=True)
def sigmoid(x: Array, *, out: Array) -> None:
    """1 / (1 + exp(-x)) as (1 + tanh(x/2)) / 2, which overflows nowhere."""
    np.multiply(x, 0.5, out=out)
    np.tanh(out, out=out)
    out += 1
    out *= 0.5


@kernel("softmax", "numpy", strided=True)
def softmax(x: Array, *, axis: int, out: Array) -> None:
    """exp(x - max) / sum of the same: no exponent is above 0."""
    np.subtract(x, x.max(axis, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis, keepdims=True)


@kernel("dropout", "numpy", strided=True)
def dropout(x: Array, *, p: float, seed: int, step: int, out: Array) -> None:
    """X / (1 - p) where kept, else 0, so that the expectation stays."""
    np.multiply(x, dropout_keeps(x.shape, p, seed, step), out=out)
    out *= 1 / (1 - p)
