"""Batch norm over all axes but the last, and its fusions with ReLU and the addition of a shortcut.

    y = gamma * xhat + beta,   xhat = (x - mean) * inv_std,   inv_std = 1 / sqrt(variance + eps),   biased variance
    dbeta = sum dy,   dgamma = sum dy*xhat,   dx = gamma * inv_std * (dy - dbeta/M - xhat * dgamma/M),   M values a
    channel

Each pass goes block by block through the batch, so that the temporaries stay in the cache. Sums run in the type of the
arrays within a few images and in float64 from there on; the variance takes a second pass, from the mean, because
mean(x^2) - mean(x)^2 cancels. Source: Ioffe, Szegedy, "Batch Normalization", 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.blocks import blocks
from tinyres.kernels.registry import kernel

Array = Any


@kernel("batch_norm", "numpy")
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, mean, variance, eps, y)


@kernel("bn_relu", "numpy")
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, mean, variance, eps, y, lambda block, _: np.maximum(block, 0, out=block))


@kernel("bn_add_relu", "numpy")
def bn_add_relu(
    x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float, out: tuple[Array, Array, Array]
) -> None:
    def add_relu(block: Array, part: slice) -> None:
        block += shortcut[part]
        np.maximum(block, 0, out=block)

    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, mean, variance, eps, y, add_relu)


@kernel("batch_norm_eval", "numpy")
def batch_norm_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: Array
) -> None:
    _normalise(x, gamma, beta, mean, variance, eps, out)


@kernel("batch_norm_gradient", "numpy")
def batch_norm_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, Array, Array]
) -> None:
    _gradient(lambda part: dy[part], x, gamma, mean, variance, eps, *out)


@kernel("bn_relu_gradient", "numpy")
def bn_relu_gradient(
    dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    dx, dgamma, dbeta = out
    factor = gamma / np.sqrt(variance + variance.dtype.type(eps))

    def errors(part: slice) -> Array:  # where the forward pass, by the same arithmetic, was positive
        return dy[part] * ((x[part] - mean) * factor + beta > 0)

    _gradient(errors, x, gamma, mean, variance, eps, dx, dgamma, dbeta)


@kernel("bn_add_relu_gradient", "numpy")
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    dx, dgamma, dbeta, dshortcut = out
    np.multiply(dy, y > 0, out=dshortcut)
    _gradient(lambda part: dshortcut[part], x, gamma, mean, variance, eps, dx, dgamma, dbeta)


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
    for running, batch, share, new in zip(
        (running_mean, running_var), (mean, variance), (momentum, momentum * scale), out, strict=True
    ):
        np.multiply(running, 1 - momentum, out=new)
        new += share * batch


def _blocks(x: Array) -> Any:
    return blocks(len(x), x.nbytes // max(1, len(x)))


def _channel_sum(block: Array) -> Array:
    """Sum over all axes but the last, in float64 but for the first of them: [n, ..., C] -> [C]."""
    return block.sum(0).reshape(-1, block.shape[-1]).sum(0, dtype=np.float64)


def _statistics(x: Array, mean: Array, variance: Array) -> None:
    count = x.size // x.shape[-1]
    mean[...] = sum(_channel_sum(x[part]) for part in _blocks(x)) / count
    squares = np.zeros(len(mean))
    for part in _blocks(x):
        centred = x[part] - mean
        squares += _channel_sum(np.square(centred, out=centred))
    variance[...] = squares / count


def _normalise(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    eps: float,
    y: Array,
    then: Callable[[Array, slice], Any] = lambda block, part: None,
) -> None:
    """Write y block by block; `then` finishes a block while it is in the cache."""
    factor = gamma / np.sqrt(variance + variance.dtype.type(eps))
    for part in _blocks(x):
        block = np.subtract(x[part], mean, out=y[part])
        block *= factor
        block += beta
        then(block, part)


def _gradient(
    errors: Callable[[slice], Array],
    x: Array,
    gamma: Array,
    mean: Array,
    variance: Array,
    eps: float,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """Two passes over x and over the incoming gradient, which `errors` hands out block by block."""
    count = x.size // x.shape[-1]
    inv_std = 1 / np.sqrt(variance + variance.dtype.type(eps))
    sum_dy, sum_dy_xhat = np.zeros(len(gamma)), np.zeros(len(gamma))
    for part in _blocks(x):
        dy = errors(part)
        xhat = x[part] - mean
        xhat *= inv_std
        sum_dy += _channel_sum(dy)
        sum_dy_xhat += _channel_sum(np.multiply(xhat, dy, out=xhat))
    dbeta[...], dgamma[...] = sum_dy, sum_dy_xhat
    factor, mean_dy, slope = gamma * inv_std, dbeta / count, inv_std * dgamma / count
    for part in _blocks(x):
        block = np.subtract(mean, x[part], out=dx[part])  # with the sign that the sum below wants
        block *= slope
        block += errors(part)
        block -= mean_dy
        block *= factor
