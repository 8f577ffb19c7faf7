"""Batch norm over all axes but the last: with the batch's statistics in training, with running averages in evaluation.

    y = gamma * xhat + beta,   xhat = (x - mean) * inv_std,   inv_std = 1 / sqrt(variance + eps),   biased variance

Each pass goes block by block through the batch, so that the temporaries stay in the cache. Sums run in the type of the
arrays within a few images and in float64 from there on; the variance takes a second pass, from the mean, because
mean(x^2) - mean(x)^2 cancels. Source: Ioffe, Szegedy, "Batch Normalization", 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.channels import channel_sum, parts
from tinyres.kernels.registry import kernel

Array = Any


def statistics(x: Array, *, out: tuple[Array, Array]) -> None:
    """Mean and biased variance of each channel over all axes but the last: [..., C] -> [C], [C]."""
    mean, variance = out
    # BEGIN SOLUTION bn.statistics
    # STEP the mean of each channel
    # STEP the mean of the squared distances from it: not mean(x^2) - mean(x)^2, which cancels
    count = x.size // x.shape[-1]
    mean[...] = sum(channel_sum(x[part]) for part in parts(x)) / count
    squares = np.zeros(len(mean))
    for part in parts(x):
        centred = x[part] - mean
        squares += channel_sum(np.square(centred, out=centred))
    variance[...] = squares / count
    # END SOLUTION


@kernel("batch_norm_eval", "numpy")
def batch_norm_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: Array
) -> None:
    """Normalise by statistics that are given: [..., C], four times [C] -> [..., C]."""
    # BEGIN SOLUTION bn.eval
    # STEP y = gamma * xhat + beta into out, xhat from the mean and the variance that are given
    factor = gamma / np.sqrt(variance + variance.dtype.type(eps))
    for part in parts(x):
        block = np.subtract(x[part], mean, out=out[part])
        block *= factor
        block += beta
    # END SOLUTION


@kernel("batch_norm", "numpy")
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    """Normalise by the batch's own statistics, which are results too: [..., C], [C], [C] -> [..., C], [C], [C]."""
    y, mean, variance = out
    # BEGIN SOLUTION bn.forward
    # STEP the statistics of the batch into mean and variance, and y by them
    statistics(x, out=(mean, variance))
    batch_norm_eval(x, gamma, beta, mean, variance, eps=eps, out=y)
    # END SOLUTION


@kernel("running_averages", "numpy")
def running_averages(
    running_mean: Array,
    running_var: Array,
    mean: Array,
    variance: Array,
    *,
    momentum: float,
    scale: float,
    out: tuple[Array, Array],
) -> None:
    """(1 - momentum) * running + momentum * batch, the variance times `scale`, M/(M-1), which makes it unbiased.

    `out` may be the running averages themselves.
    """
    new_mean, new_var = out
    # BEGIN SOLUTION bn.running
    # STEP both averages move a part `momentum` of the way to the batch; the batch's variance is made unbiased first
    for running, batch, share, new in (
        (running_mean, mean, momentum, new_mean),
        (running_var, variance, momentum * scale, new_var),
    ):
        np.multiply(running, 1 - momentum, out=new)
        new += share * batch
    # END SOLUTION
