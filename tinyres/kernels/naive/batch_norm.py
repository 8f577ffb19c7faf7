"""Batch norm of the oracle, over all axes but the last, and its fusions as compositions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.naive import oracle
from tinyres.kernels.naive.elementwise import add_relu, relu, relu_gradient

Array = Any


def _normalised(x: Array, mean: Array, variance: Array, eps: float) -> Array:
    return (x - mean) / np.sqrt(variance + eps)


@oracle
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float) -> Array:
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
    return gamma * _normalised(x, mean, variance, eps) + beta, mean, variance


@oracle
def batch_norm_gradient(dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    axes = tuple(range(x.ndim - 1))
    xhat = _normalised(x, mean, variance, eps)
    dxhat = dy * gamma
    dx = (dxhat - dxhat.mean(axes) - xhat * (dxhat * xhat).mean(axes)) / np.sqrt(variance + eps)
    return dx, (dy * xhat).sum(axes), dy.sum(axes)


@oracle
def batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    return gamma * _normalised(x, mean, variance, eps) + beta


@oracle
def running_averages(
    running_mean: Array, running_var: Array, mean: Array, variance: Array, *, momentum: float, scale: float
) -> tuple[Array, Array]:
    unbiased = scale * variance
    return (1 - momentum) * running_mean + momentum * mean, (1 - momentum) * running_var + momentum * unbiased


@oracle
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float) -> Array:
    y, mean, variance = batch_norm(x, gamma, beta, eps=eps)
    return relu(y), mean, variance


@oracle
def bn_relu_gradient(
    dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float
) -> Array:
    y = batch_norm_eval(x, gamma, beta, mean, variance, eps=eps)
    return batch_norm_gradient(relu_gradient(dy, y), x, gamma, mean, variance, eps=eps)


@oracle
def bn_add_relu(x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float) -> Array:
    y, mean, variance = batch_norm(x, gamma, beta, eps=eps)
    return add_relu(y, shortcut), mean, variance


@oracle
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float
) -> Array:
    dsum = relu_gradient(dy, y)
    return *batch_norm_gradient(dsum, x, gamma, mean, variance, eps=eps), dsum


@oracle
def bn_relu_eval(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    return relu(batch_norm_eval(x, gamma, beta, mean, variance, eps=eps))


@oracle
def bn_add_relu_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, shortcut: Array, *, eps: float
) -> Array:
    return add_relu(batch_norm_eval(x, gamma, beta, mean, variance, eps=eps), shortcut)
