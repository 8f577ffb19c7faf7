"""The gradient of batch norm in training, where mean and variance depend on x themselves.

    dbeta = sum dy,   dgamma = sum dy*xhat,   dx = gamma * inv_std * (dy - dbeta/M - xhat * dgamma/M)

    xhat = (x - mean) * inv_std,   inv_std = 1 / sqrt(variance + eps),   sums over the M values of a channel

Two passes over x and dy, block by block as the forward pass. Source: Ioffe, Szegedy, "Batch Normalization", 2015,
section 3, with its terms collected.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.channels import channel_sum, parts
from tinyres.kernels.registry import kernel

Array = Any


def parameter_gradients(
    dy: Array, x: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, Array]
) -> None:
    """Gradients of gamma and beta: twice [..., C], twice [C] -> [C], [C]."""
    dgamma, dbeta = out
    # BEGIN SOLUTION bn.parameters
    # STEP xhat again, from x and the statistics
    # STEP a sum over all axes but the last for each of the two
    inv_std = 1 / np.sqrt(variance + variance.dtype.type(eps))
    sum_dy, sum_dy_xhat = np.zeros(len(mean)), np.zeros(len(mean))
    for part in parts(x):
        xhat = x[part] - mean
        xhat *= inv_std
        sum_dy += channel_sum(dy[part])
        sum_dy_xhat += channel_sum(np.multiply(xhat, dy[part], out=xhat))
    dbeta[...], dgamma[...] = sum_dy, sum_dy_xhat
    # END SOLUTION


def input_gradient(
    dy: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    variance: Array,
    dgamma: Array,
    dbeta: Array,
    *,
    eps: float,
    out: Array,
) -> None:
    """Gradient of x, from those of gamma and beta: twice [..., C], five times [C] -> [..., C]."""
    # BEGIN SOLUTION bn.input
    # STEP M, how many values a channel has
    # STEP the way through xhat alone, less the way through the mean, less the way through the variance
    count = x.size // x.shape[-1]
    inv_std = 1 / np.sqrt(variance + variance.dtype.type(eps))
    factor, mean_dy, slope = gamma * inv_std, dbeta / count, inv_std * dgamma / count
    for part in parts(x):
        block = mean - x[part]  # of its own: `out` may be dy itself; with the sign that the sum below wants
        block *= slope
        block += dy[part]
        block -= mean_dy
        np.multiply(block, factor, out=out[part])
    # END SOLUTION


@kernel("batch_norm_gradient", "numpy")
def batch_norm_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, Array, Array]
) -> None:
    """All three: twice [..., C], three times [C] -> [..., C], [C], [C]."""
    dx, dgamma, dbeta = out
    parameter_gradients(dy, x, mean, variance, eps=eps, out=(dgamma, dbeta))
    input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, eps=eps, out=dx)
