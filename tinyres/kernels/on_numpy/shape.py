"""Shapes: views where NumPy gives one, copies into the allocated array elsewhere; sums and means over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel

Array = Any


@kernel("reshape", "numpy", strided=True)
def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape)


@kernel("transpose", "numpy", strided=True)
def transpose(x: Array, *, axes: tuple[int, ...]) -> Array:
    return x.transpose(axes)


@kernel("getitem", "numpy", strided=True)
def getitem(x: Array, *, index: Any) -> Array:
    return np.asarray(x[index])  # a full index gives a NumPy scalar: keep it an array


@kernel("getitem_gradient", "numpy", strided=True)
def getitem_gradient(dy: Array, *, index: Any, shape: tuple[int, ...], out: Array) -> None:
    """Zeros of the input's shape, dy added where it was taken from; a place taken twice receives twice."""
    out[...] = 0
    np.add.at(out, index, dy)


@kernel("concat", "numpy", strided=True)
def concat(*arrays: Array, axis: int, out: Array) -> None:
    np.concatenate(arrays, axis, out=out)


@kernel("broadcast_to", "numpy", strided=True)
def broadcast_to(x: Array, *, shape: tuple[int, ...], out: Array) -> None:
    out[...] = x


@kernel("sum", "numpy", strided=True)
def sum_(x: Array, *, axis: Any, keepdims: bool, out: Array) -> None:
    np.sum(x, axis=axis, keepdims=keepdims, out=out)


@kernel("mean", "numpy", strided=True)
def mean(x: Array, *, axis: Any, keepdims: bool, out: Array) -> None:
    np.mean(x, axis=axis, keepdims=keepdims, out=out)
