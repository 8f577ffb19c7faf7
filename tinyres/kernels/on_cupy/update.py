"""The update of stochastic gradient descent over one flat buffer of parameters (`cuda/update.cuh`), one launch.

Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.registry import kernel

Array = Any


@kernel("sgd", "cupy", device="cuda")
def sgd(
    w: Array, v: Array, g: Array, *, lr: Any, momentum: float, weight_decay: float, nesterov: bool,
    out: tuple[Array, Array],
) -> None:  # fmt: skip
    """`out` may be (w, v) themselves. `lr` may be an array of one value on the GPU, read when the kernel runs."""
    of = w.dtype.type
    rate = lr.astype(w.dtype, copy=False) if cuda.is_array(lr) else None
    settings = rate, of(0 if rate is not None else lr), of(momentum), of(weight_decay), np.int32(nesterov)
    size = np.int64(w.size), np.int32(grid.aligned(w, v, g, *out))
    grid.values("update.cuh", "sgd", w, w, v, g, *settings, *out, *size, each=4)
