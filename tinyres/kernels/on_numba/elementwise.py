"""Sums and rectifications of whole activations, on all cores: one pass over memory each.

Arrays that broadcast are left to NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.columns import ADD, ADD_RELU, RELU, RELU_GRADIENT, parts_of, sweep
from tinyres.kernels.on_numba.stream import bypasses
from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any


def _apply(kind: int, a: Array, b: Array, y: Array) -> None:
    nothing = np.empty((0, 0), y.dtype)
    for part in parts_of(1, a, b, y):
        arrays, results = part.arrays[:2], part.arrays[2:]
        share(_items, part.items, y.size, arrays, results, nothing, part.rows, part.span, kind)
        part.take_back(y, 2)


@njit(nogil=True, cache=True)
def _items(start, stop, arrays, results, nothing, rows, span, kind):  # type: ignore[no-untyped-def]
    bypass = bypasses(results[0])
    first, count = start * rows, min(stop * rows, len(results[0]) // span) - start * rows
    if kind == ADD:
        sweep(arrays, results, nothing, nothing, first * span, count, span, ADD, bypass)
    elif kind == ADD_RELU:
        sweep(arrays, results, nothing, nothing, first * span, count, span, ADD_RELU, bypass)
    elif kind == RELU:
        sweep(arrays, results, nothing, nothing, first * span, count, span, RELU, bypass)
    else:
        sweep(arrays, results, nothing, nothing, first * span, count, span, RELU_GRADIENT, bypass)


@kernel("add", "numba")
def add(a: Array, b: Array, *, out: Array) -> None:
    if a.shape == b.shape:
        _apply(ADD, a, b, out)
    else:
        np.add(a, b, out=out)


@kernel("add_relu", "numba")
def add_relu(a: Array, b: Array, *, out: Array) -> None:
    if a.shape == b.shape:
        _apply(ADD_RELU, a, b, out)
    else:
        np.maximum(np.add(a, b, out=out), 0, out=out)


@kernel("relu", "numba")
def relu(x: Array, *, out: Array) -> None:
    _apply(RELU, x, x, out)


@kernel("relu_gradient", "numba")
def relu_gradient(dy: Array, y: Array, *, out: Array) -> None:
    _apply(RELU_GRADIENT, dy, y, out)
