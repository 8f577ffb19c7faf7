"""Arithmetic with broadcasting, and matrix products: NumPy's own, written into the array that launch allocated."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel

Array = Any


@kernel("add", "numpy", strided=True)
def add(a: Array, b: Array, *, out: Array) -> None:
    np.add(a, b, out=out)


@kernel("sub", "numpy", strided=True)
def sub(a: Array, b: Array, *, out: Array) -> None:
    np.subtract(a, b, out=out)


@kernel("mul", "numpy", strided=True)
def mul(a: Array, b: Array, *, out: Array) -> None:
    np.multiply(a, b, out=out)


@kernel("div", "numpy", strided=True)
def div(a: Array, b: Array, *, out: Array) -> None:
    np.divide(a, b, out=out)


@kernel("neg", "numpy", strided=True)
def neg(x: Array, *, out: Array) -> None:
    np.negative(x, out=out)


@kernel("power", "numpy", strided=True)
def power(a: Array, b: Array, *, out: Array) -> None:
    np.power(a, b, out=out)


@kernel("exp", "numpy", strided=True)
def exp(x: Array, *, out: Array) -> None:
    np.exp(x, out=out)


@kernel("log", "numpy", strided=True)
def log(x: Array, *, out: Array) -> None:
    np.log(x, out=out)


@kernel("sqrt", "numpy", strided=True)
def sqrt(x: Array, *, out: Array) -> None:
    np.sqrt(x, out=out)


@kernel("matmul", "numpy", strided=True)
def matmul(a: Array, b: Array, *, out: Array) -> None:
    np.matmul(a, b, out=out)


@kernel("linear", "numpy")
def linear(x: Array, w: Array, b: Array, *, out: Array) -> None:
    """Y = x w + b: [N,C], [C,F], [F] -> [N,F]."""
    np.matmul(x, w, out=out)
    out += b
