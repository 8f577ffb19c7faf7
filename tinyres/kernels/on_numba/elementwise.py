"""Sums and rectifications of whole activations, on all cores: one pass over memory each.

Arrays that broadcast are left to NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any
ITEM = 1 << 14  # values that a thread takes at a time


def _share(function: Any, size: int, *arrays: Array) -> None:
    share(function, -(-size // ITEM), size, *(array.reshape(-1) for array in arrays))


# A slice of the item, then a loop from 0: a negative index, which Numba must allow for, would keep the compiler from
# making vectors.
@njit(nogil=True, cache=True)
def _add(start, stop, a, b, y):  # type: ignore[no-untyped-def]
    item = slice(start * ITEM, stop * ITEM)
    a, b, y = a[item], b[item], y[item]
    for k in range(len(y)):
        y[k] = a[k] + b[k]


@njit(nogil=True, cache=True)
def _add_relu(start, stop, a, b, y):  # type: ignore[no-untyped-def]
    item, zero = slice(start * ITEM, stop * ITEM), y.dtype.type(0)
    a, b, y = a[item], b[item], y[item]
    for k in range(len(y)):
        total = a[k] + b[k]
        y[k] = zero if total < 0 else total  # a NaN stays one


@njit(nogil=True, cache=True)
def _relu(start, stop, x, y):  # type: ignore[no-untyped-def]
    item, zero = slice(start * ITEM, stop * ITEM), y.dtype.type(0)
    x, y = x[item], y[item]
    for k in range(len(y)):
        y[k] = zero if x[k] < 0 else x[k]


@njit(nogil=True, cache=True)
def _relu_gradient(start, stop, dy, y, dx):  # type: ignore[no-untyped-def]
    item, zero = slice(start * ITEM, stop * ITEM), y.dtype.type(0)
    dy, y, dx = dy[item], y[item], dx[item]
    for k in range(len(y)):
        dx[k] = dy[k] if y[k] > 0 else zero


@kernel("add", "numba")
def add(a: Array, b: Array, *, out: Array) -> None:
    if a.shape == b.shape:
        _share(_add, out.size, a, b, out)
    else:
        np.add(a, b, out=out)


@kernel("add_relu", "numba")
def add_relu(a: Array, b: Array, *, out: Array) -> None:
    if a.shape == b.shape:
        _share(_add_relu, out.size, a, b, out)
    else:
        np.maximum(np.add(a, b, out=out), 0, out=out)


@kernel("relu", "numba")
def relu(x: Array, *, out: Array) -> None:
    _share(_relu, out.size, x, out)


@kernel("relu_gradient", "numba")
def relu_gradient(dy: Array, y: Array, *, out: Array) -> None:
    _share(_relu_gradient, out.size, dy, y, out)
