"""Batch norm on a GPU with what follows it, forward and backward, in as few passes over memory as the formulas allow.

    y = max(xhat * gamma + beta + shortcut, 0),   xhat = (x - mean) * inv_std,   inv_std = 1 / sqrt(variance + eps)
    dz = dy where y > 0
    dx = gamma * inv_std * (dz - dbeta/M - xhat * dgamma/M),   dbeta = sum dz,   dgamma = sum dz * xhat

Forward: the statistics (`sums.py`), then one pass that normalises, adds and clips. Backward: the two sums, then one
pass that makes dx. Without an addition the sign of y is computed again from x, which costs less than reading y; after
one, the first pass writes dz, which is the gradient of the shortcut, and the second reads it. One kernel serves all of
them: `then` is a constant of the compiled kernel, and what it rules out is not compiled. Not yet run on a GPU.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from numba import cuda

from tinyres.kernels.on_numba_cuda import missing
from tinyres.kernels.on_numba_cuda.device import launch
from tinyres.kernels.on_numba_cuda.sums import (
    ADD_RELU,
    ALONE,
    RELU,
    cut_for,
    gradient_sums,
    normalised,
    statistics,
)
from tinyres.kernels.registry import kernel

Array = Any


@functools.cache
def _apply(CHANNELS: int, LANES: int, then: int, real: Any) -> Any:
    @cuda.jit
    def apply(x, gamma, beta, shortcut, mean, variance, eps, M, C, span, y):  # type: ignore[no-untyped-def]
        t, block = cuda.threadIdx.x, cuda.blockIdx.x
        c = cuda.blockIdx.y * CHANNELS + t % CHANNELS
        if c < C:
            centre, shift = mean[c], beta[c]
            factor = gamma[c] * (real(1) / real(math.sqrt(variance[c] + eps)))
            for row in range(block * span + t // CHANNELS, min((block + 1) * span, M), LANES):
                value = normalised(x[row * C + c], centre, factor, shift)
                if then == ADD_RELU:
                    value += shortcut[row * C + c]
                if then != ALONE and value < real(0):  # a NaN is not, and stays
                    value = real(0)
                y[row * C + c] = value

    return apply


@functools.cache
def _gradient(CHANNELS: int, LANES: int, then: int, real: Any) -> Any:
    @cuda.jit
    def gradient(dy, x, gamma, beta, mean, variance, sums, eps, M, C, span, dx, dgamma, dbeta):  # type: ignore[no-untyped-def]
        t, block = cuda.threadIdx.x, cuda.blockIdx.x
        c = cuda.blockIdx.y * CHANNELS + t % CHANNELS
        if c < C:
            centre, inv_std = mean[c], real(1) / real(math.sqrt(variance[c] + eps))
            factor, mean_dz, mean_dz_xhat = gamma[c] * inv_std, sums[0, c] / real(M), sums[1, c] / real(M)
            for row in range(block * span + t // CHANNELS, min((block + 1) * span, M), LANES):
                error, apart = dy[row * C + c], x[row * C + c] - centre
                if then == RELU and not normalised(x[row * C + c], centre, factor, beta[c]) > real(0):
                    error = real(0)
                dx[row * C + c] = factor * (error - mean_dz - apart * inv_std * mean_dz_xhat)
            if block == 0 and t < CHANNELS:
                dbeta[c], dgamma[c] = sums[0, c], sums[1, c]

    return gradient


def _forward(
    x: Array, gamma: Array, beta: Array, shortcut: Array, eps: float, out: tuple[Array, ...], then: int
) -> None:
    y, mean, variance = out
    statistics(x, mean, variance)
    real, rows, width = x.dtype.type, x.size // len(mean), len(mean)
    cut = cut_for(rows, width)
    launch(
        _apply(cut.channels, cut.lanes, then, real), cut.grid(width), cut.threads,
        x.reshape(-1), gamma, beta, shortcut.reshape(-1), mean, variance, real(eps), rows, width, cut.span,
        y.reshape(-1),
    )  # fmt: skip


def _backward(
    dy: Array, y: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float,
    out: tuple[Array, ...], then: int,
) -> None:  # fmt: skip
    dx, dgamma, dbeta, dz = (*out, dy)[:4]
    real, rows, width = x.dtype.type, x.size // len(mean), len(mean)
    sums = gradient_sums(dy, x, y, gamma, beta, mean, variance, real(eps), dz, then)
    if then == ADD_RELU:  # what the ReLU lets pass is written down by now
        dy, then = dz, ALONE
    cut = cut_for(rows, width)
    launch(
        _gradient(cut.channels, cut.lanes, then, real), cut.grid(width), cut.threads,
        dy.reshape(-1), x.reshape(-1), gamma, beta, mean, variance, sums, real(eps), rows, width, cut.span,
        dx.reshape(-1), dgamma, dbeta,
    )  # fmt: skip


@kernel("batch_norm", "numba_cuda", device="cuda", requires=missing)
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, ...]) -> None:
    _forward(x, gamma, beta, x, eps, out, ALONE)


@kernel("bn_relu", "numba_cuda", device="cuda", requires=missing)
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, ...]) -> None:
    _forward(x, gamma, beta, x, eps, out, RELU)


@kernel("bn_add_relu", "numba_cuda", device="cuda", requires=missing)
def bn_add_relu(x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float, out: tuple[Array, ...]) -> None:
    _forward(x, gamma, beta, shortcut, eps, out, ADD_RELU)


@kernel("batch_norm_gradient", "numba_cuda", device="cuda", requires=missing)
def batch_norm_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _backward(dy, x, x, gamma, gamma, mean, variance, eps, out, ALONE)


@kernel("bn_relu_gradient", "numba_cuda", device="cuda", requires=missing)
def bn_relu_gradient(
    dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _backward(dy, x, x, gamma, beta, mean, variance, eps, out, RELU)


@kernel("bn_add_relu_gradient", "numba_cuda", device="cuda", requires=missing)
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _backward(dy, y, x, gamma, gamma, mean, variance, eps, out, ADD_RELU)
