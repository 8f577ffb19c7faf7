"""Matrix products by a kernel of our own, which can be part of a graph; products of stacks of matrices by cuBLAS.

Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.on_cupy.protocols import readable
from tinyres.kernels.registry import kernel

Array = Any
SIDE, DEPTH = 32, 32  # as in gemm.cuh


@kernel("matmul", "cupy", device="cuda", strided=True)
def matmul(a: Array, b: Array, *, out: Array) -> None:
    """[M,K] [K,N] -> [M,N], transposed views as they are; [...,M,K] [...,K,N] by the library."""
    if a.ndim == b.ndim == 2:
        _gemm(a, b, None, out)
    else:
        readable("matmul")(a, b, out=out)


@kernel("linear", "cupy", device="cuda", strided=True)
def linear(x: Array, w: Array, b: Array, *, out: Array) -> None:
    """Y = x w + b: [N,C], [C,F], [F] -> [N,F]."""
    _gemm(x, w, cuda.module().ascontiguousarray(b), out)


def _gemm(a: Array, b: Array, bias: Array | None, out: Array) -> None:
    (m, k), n = a.shape, b.shape[1]
    if not out.size:
        return
    strides = (np.int64(stride // array.itemsize) for array in (a, b) for stride in array.strides)
    blocks = -(-m // SIDE), -(-n // SIDE)
    shared = 2 * DEPTH * (SIDE + 1) * a.itemsize
    cuda.launch(
        "gemm.cuh", f"gemm<{grid.real(out)}>", blocks, grid.THREADS, a, b, bias, out, *grid.ints(m, n, k), *strides,
        shared=shared,
    )  # fmt: skip
