"""Additions and ReLUs of a residual net, and dropout: CUDA C++ where shapes are equal, NumPy's bodies to broadcast.

Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_cupy import grid
from tinyres.kernels.on_cupy.protocols import readable
from tinyres.kernels.registry import kernel

Array = Any
KINDS = {"add": 0, "relu": 1, "add_relu": 2, "relu_gradient": 3}  # as in elementwise.cuh


def _run(op: str, a: Array, b: Array | None, out: Array) -> None:
    arrays = (a, b, out)
    if all(array is None or (array.shape == out.shape and array.flags.c_contiguous) for array in arrays):
        size = np.int64(out.size), np.int32(grid.aligned(*arrays))
        grid.values("elementwise.cuh", "elementwise", out, np.int32(KINDS[op]), *arrays, *size, each=4 * grid.EACH)
    else:
        readable(op)(*(array for array in (a, b) if array is not None), out=out)


@kernel("add", "cupy", device="cuda", strided=True)
def add(a: Array, b: Array, *, out: Array) -> None:
    _run("add", a, b, out)


@kernel("relu", "cupy", device="cuda", strided=True)
def relu(x: Array, *, out: Array) -> None:
    _run("relu", x, None, out)


@kernel("add_relu", "cupy", device="cuda", strided=True)
def add_relu(a: Array, b: Array, *, out: Array) -> None:
    _run("add_relu", a, b, out)


@kernel("relu_gradient", "cupy", device="cuda", strided=True)
def relu_gradient(dy: Array, y: Array, *, out: Array) -> None:
    """Dy where the output was positive, else 0."""
    _run("relu_gradient", dy, y, out)


@kernel("dropout", "cupy", device="cuda")
def dropout(x: Array, *, p: float, seed: int, step: int, out: Array) -> None:
    """X / (1 - p) where kept, else 0: the masks of kernels/masks.py."""
    threshold, key = np.uint32(int(p * 2**32)), (np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32 & 0xFFFFFFFF))
    scale = x.dtype.type(1 / (1 - p))
    grid.values("dropout.cuh", "dropout", out, x, out, np.int64(x.size), threshold, scale, np.uint32(step), *key)
