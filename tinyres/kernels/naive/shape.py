"""Products, shapes and sums of the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.naive import oracle

Array = Any


@oracle
def matmul(a: Array, b: Array) -> Array:
    return np.einsum("...mk,...kn->...mn", a, b)


@oracle
def linear(x: Array, w: Array, b: Array) -> Array:
    return np.einsum("nc,cf->nf", x, w) + b


@oracle
def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.array([x[i] for i in np.ndindex(*x.shape)]).reshape(shape)


@oracle
def transpose(x: Array, *, axes: tuple[int, ...]) -> Array:
    y = np.empty([x.shape[a] for a in axes])
    for i in np.ndindex(*x.shape):
        y[tuple(i[a] for a in axes)] = x[i]
    return y


@oracle
def getitem(x: Array, *, index: Any) -> Array:
    return x[index].copy()


@oracle
def getitem_gradient(dy: Array, *, index: Any, shape: tuple[int, ...]) -> Array:
    dx = np.zeros(shape)
    np.add.at(dx, index, dy)
    return dx


@oracle
def concat(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis)


@oracle
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape) + x


@oracle
def sum_(x: Array, *, axis: Any, keepdims: bool) -> Array:
    return np.sum(x, axis=axis, keepdims=keepdims)


@oracle
def mean(x: Array, *, axis: Any, keepdims: bool) -> Array:
    return np.mean(x, axis=axis, keepdims=keepdims)
