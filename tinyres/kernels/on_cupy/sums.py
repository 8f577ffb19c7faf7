"""Sums and means over leading axes, such as the gradient of a bias, in one order; over others as the library does.

Not yet run on a GPU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.on_cupy.protocols import readable
from tinyres.kernels.registry import kernel
from tinyres.kernels.shapes import axes_of

Array = Any


@kernel("sum", "cupy", device="cuda", strided=True)
def sum_(x: Array, *, axis: Any, keepdims: bool, out: Array) -> None:
    _reduce("sum", x, axis, keepdims, out)


@kernel("mean", "cupy", device="cuda", strided=True)
def mean(x: Array, *, axis: Any, keepdims: bool, out: Array) -> None:
    _reduce("mean", x, axis, keepdims, out)


def _reduce(op: str, x: Array, axis: Any, keepdims: bool, out: Array) -> None:
    axes = axes_of(op, x.ndim, axis)
    if axes != tuple(range(len(axes))) or not x.flags.c_contiguous or not x.size:
        readable(op)(x, axis=axis, keepdims=keepdims, out=out)
        return
    rows, columns = math.prod(x.shape[: len(axes)]), math.prod(x.shape[len(axes) :])
    blocks = grid.sums(rows, columns)
    partials = cuda.module().empty((blocks[0], columns), x.dtype)
    scale = x.dtype.type(1 / rows if op == "mean" else 1)
    cuda.launch(
        "columns.cuh", f"column_sums<{grid.real(x)}>", blocks, grid.THREADS, x, partials, grid.counters(), out, scale,
        np.int64(rows), *grid.ints(columns, grid.aligned(x)), shared=4 * grid.THREADS * x.itemsize,
    )  # fmt: skip
