"""Arithmetic and activations of the oracle, value by value."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.masks import dropout_keeps
from tinyres.kernels.naive import oracle

Array = Any


@oracle
def add(a: Array, b: Array) -> Array:
    return a + b


@oracle
def sub(a: Array, b: Array) -> Array:
    return a - b


@oracle
def mul(a: Array, b: Array) -> Array:
    return a * b


@oracle
def div(a: Array, b: Array) -> Array:
    return a / b


@oracle
def neg(x: Array) -> Array:
    return -x


@oracle
def power(a: Array, b: Array) -> Array:
    return a**b


@oracle
def exp(x: Array) -> Array:
    return np.exp(x)


@oracle
def log(x: Array) -> Array:
    return np.log(x)


@oracle
def sqrt(x: Array) -> Array:
    return np.sqrt(x)


@oracle
def relu(x: Array) -> Array:
    return np.where(x <= 0, 0, x)  # a NaN is not <= 0 and stays


@oracle
def relu_gradient(dy: Array, y: Array) -> Array:
    return np.where(y > 0, dy, 0)


@oracle
def tanh(x: Array) -> Array:
    return np.tanh(x)


@oracle
def sigmoid(x: Array) -> Array:
    return np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(-np.abs(x))))


@oracle
def softmax(x: Array, *, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@oracle
def add_relu(a: Array, b: Array) -> Array:
    return np.maximum(a + b, 0)


@oracle
def dropout(x: Array, *, p: float, seed: int, step: int) -> Array:
    return np.where(dropout_keeps(x.shape, p, seed, step), x / (1 - p), 0)
