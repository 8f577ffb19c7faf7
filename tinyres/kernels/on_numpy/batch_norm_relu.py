"""Batch norm fused with what follows it in a residual block: ReLU, or the addition of a shortcut and ReLU.

Forward, a block of the batch is finished while it is in the cache. Backward, the incoming gradient is masked where the
ReLU was flat, and batch norm's own gradient does the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.batch_norm import batch_norm_eval, statistics
from tinyres.kernels.on_numpy.batch_norm_gradient import batch_norm_gradient
from tinyres.kernels.on_numpy.channels import parts
from tinyres.kernels.registry import kernel

Array = Any


@kernel("bn_relu", "numpy")
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    statistics(x, out=(mean, variance))
    for part in parts(x):
        batch_norm_eval(x[part], gamma, beta, mean, variance, eps=eps, out=y[part])
        np.maximum(y[part], 0, out=y[part])


@kernel("bn_add_relu", "numpy")
def bn_add_relu(
    x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float, out: tuple[Array, Array, Array]
) -> None:
    y, mean, variance = out
    statistics(x, out=(mean, variance))
    for part in parts(x):
        block = y[part]
        batch_norm_eval(x[part], gamma, beta, mean, variance, eps=eps, out=block)
        block += shortcut[part]
        np.maximum(block, 0, out=block)


@kernel("bn_relu_gradient", "numpy")
def bn_relu_gradient(
    dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    dx, dgamma, dbeta = out
    factor = gamma / np.sqrt(variance + variance.dtype.type(eps))
    for part in parts(x):  # where the forward pass, by the same arithmetic, was positive
        np.multiply(dy[part], (x[part] - mean) * factor + beta > 0, out=dx[part])
    batch_norm_gradient(dx, x, gamma, mean, variance, eps=eps, out=(dx, dgamma, dbeta))


@kernel("bn_add_relu_gradient", "numpy")
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    dx, dgamma, dbeta, dshortcut = out
    np.multiply(dy, y > 0, out=dshortcut)
    batch_norm_gradient(dshortcut, x, gamma, mean, variance, eps=eps, out=(dx, dgamma, dbeta))
