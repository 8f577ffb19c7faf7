"""Batch norm and its fusions in as few passes over memory as the formulas allow.

    forward    1 read x -> mean, variance           2 read x (and the shortcut), write y
    backward   1 read dy, y, x -> dbeta, dgamma      2 read dy, y, x, write dx (and dshortcut)

    y = max(xhat * gamma + beta + shortcut, 0),  xhat = (x - mean) * inv_std
    dx = gamma * inv_std * (dz - mean(dz) - xhat * mean(dz * xhat)),  dz = dy where y > 0

An array [..., C] is seen as rows of SPAN channels-last values, SPAN a multiple of C, with the per-channel numbers
repeated along the row: the inner loop is then long, without a remainder at every pixel, and the compiler makes
vectors of it. Items are rows of at least ITEM_BYTES; each gives its own mean and sum of squared deviations, and the
items' are combined in order and in float64 (Chan, Golub, LeVeque 1979), so that nothing cancels and nothing depends
on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any

SPAN_VALUES = 512
ITEM_BYTES = 64 << 10
RELU, ADD = 1, 2  # flags of what follows the normalisation


def _layout(x: Array) -> tuple[int, int, int]:
    """Values in a row, rows in an item, items; the last row and the last item may be short."""
    channels = x.shape[-1]
    span = max(1, SPAN_VALUES // channels) * channels
    rows = max(1, ITEM_BYTES // (span * x.itemsize))
    return span, rows, -(-x.size // (span * rows))


def _repeated(per_channel: Array, span: int) -> Array:
    return np.tile(per_channel, span // len(per_channel))


def _statistics(x: Array, mean: Array, variance: Array) -> None:
    span, rows, items = _layout(x)
    channels = len(mean)
    means, squares = np.empty((items, channels)), np.empty((items, channels))
    share(_item_moments, items, 3 * x.size, x.reshape(-1), span, rows, channels, means, squares)
    counts = np.minimum(span * rows, x.size - span * rows * np.arange(items)) // channels
    total = counts.sum()
    centre = counts @ means / total
    mean[...] = centre
    variance[...] = (squares.sum(0) + counts @ np.square(means - centre)) / total


@njit(nogil=True, cache=True)
def _item_moments(start, stop, x, span, rows, channels, means, squares):  # type: ignore[no-untyped-def]
    """Of each item, per channel: the mean, and the sum of squared deviations from it."""
    sums = np.empty(span, x.dtype)
    centre = np.empty(span, x.dtype)
    for item in range(start, stop):
        first = item * rows * span
        last = min(first + rows * span, len(x))
        count = (last - first) // channels
        for moment in range(2):
            sums[:] = 0
            for row in range(first, last, span):
                values = x[row : min(row + span, last)]
                if moment == 0:
                    for k in range(len(values)):
                        sums[k] += values[k]
                else:
                    for k in range(len(values)):
                        deviation = values[k] - centre[k]
                        sums[k] += deviation * deviation
            for c in range(channels):
                total = 0.0
                for k in range(c, span, channels):
                    total += sums[k]
                if moment == 0:
                    means[item, c] = x.dtype.type(total / count)
                    for k in range(c, span, channels):
                        centre[k] = means[item, c]
                else:
                    squares[item, c] = total


def _normalise(
    x: Array, gamma: Array, beta: Array, shortcut: Array, mean: Array, variance: Array, eps: float, y: Array, then: int
) -> None:
    span, rows, items = _layout(x)
    factor = gamma / np.sqrt(variance + variance.dtype.type(eps))
    vectors = (_repeated(v, span) for v in (mean, factor, beta))
    flat = x.reshape(-1), shortcut.reshape(-1), y.reshape(-1)
    share(_normalise_items, items, 3 * x.size, *flat, *vectors, span * rows, then)


@njit(nogil=True, cache=True)
def _normalise_items(start, stop, x, shortcut, y, mean, factor, beta, item, then):  # type: ignore[no-untyped-def]
    span, zero = len(mean), x.dtype.type(0)
    for row in range(start * item, min(stop * item, len(x)), span):
        end = min(row + span, len(x))
        values, added, results = x[row:end], shortcut[row:end], y[row:end]
        if then == 0:
            for k in range(len(values)):
                results[k] = (values[k] - mean[k]) * factor[k] + beta[k]
        elif then == RELU:
            for k in range(len(values)):
                z = (values[k] - mean[k]) * factor[k] + beta[k]
                results[k] = zero if z < 0 else z  # a NaN stays one
        else:
            for k in range(len(values)):
                z = (values[k] - mean[k]) * factor[k] + beta[k] + added[k]
                results[k] = zero if z < 0 else z


@kernel("batch_norm", "numba")
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, x, mean, variance, eps, y, 0)


@kernel("bn_relu", "numba")
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, x, mean, variance, eps, y, RELU)


@kernel("bn_add_relu", "numba")
def bn_add_relu(
    x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float, out: tuple[Array, Array, Array]
) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, shortcut, mean, variance, eps, y, RELU | ADD)


@kernel("batch_norm_eval", "numba")
def batch_norm_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: Array
) -> None:
    _normalise(x, gamma, beta, x, mean, variance, eps, out, 0)


def _gradient(
    dy: Array,
    y: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    variance: Array,
    eps: float,
    out: tuple[Array, ...],
    relu: bool,
) -> None:
    """`out` is dx, dgamma, dbeta and, after an addition, dshortcut."""
    span, rows, items = _layout(x)
    channels = len(gamma)
    inv_std = 1 / np.sqrt(variance + variance.dtype.type(eps))
    flat = dy.reshape(-1), y.reshape(-1), x.reshape(-1)
    sums = np.empty((items, 2, channels))
    share(
        _item_sums,
        items,
        4 * x.size,
        *flat,
        _repeated(mean, span),
        _repeated(inv_std, span),
        rows,
        channels,
        relu,
        sums,
    )
    dx, dgamma, dbeta = out[:3]
    dbeta[...], dgamma[...] = sums.sum(0)
    count = x.size // channels
    vectors = (_repeated(v, span) for v in (mean, inv_std * dgamma / count, dbeta / count, gamma * inv_std))
    dshortcut = out[3] if len(out) > 3 else dx
    share(
        _gradient_items, items, 6 * x.size, *flat, dx.reshape(-1), dshortcut.reshape(-1), *vectors, span * rows, relu,
        len(out) > 3,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _item_sums(start, stop, dy, y, x, mean, inv_std, rows, channels, relu, sums):  # type: ignore[no-untyped-def]
    """Of each item, per channel: sum dz and sum dz * xhat."""
    span = len(mean)
    plain, weighted = np.empty(span, x.dtype), np.empty(span, x.dtype)
    zero = x.dtype.type(0)
    for item in range(start, stop):
        first = item * rows * span
        last = min(first + rows * span, len(x))
        plain[:] = 0
        weighted[:] = 0
        for row in range(first, last, span):
            end = min(row + span, last)
            values, results, errors = x[row:end], y[row:end], dy[row:end]
            if relu:
                for k in range(len(values)):
                    dz = errors[k] if results[k] > 0 else zero
                    plain[k] += dz
                    weighted[k] += dz * ((values[k] - mean[k]) * inv_std[k])
            else:
                for k in range(len(values)):
                    plain[k] += errors[k]
                    weighted[k] += errors[k] * ((values[k] - mean[k]) * inv_std[k])
        for c in range(channels):
            a, b = 0.0, 0.0
            for k in range(c, span, channels):
                a += plain[k]
                b += weighted[k]
            sums[item, 0, c], sums[item, 1, c] = a, b


@njit(nogil=True, cache=True)
def _gradient_items(  # type: ignore[no-untyped-def]
    start, stop, dy, y, x, dx, dshortcut, mean, slope, shift, factor, item, relu, add
):
    span, zero = len(mean), x.dtype.type(0)
    for row in range(start * item, min(stop * item, len(x)), span):
        end = min(row + span, len(x))
        values, results, errors, to_x, to_shortcut = (
            x[row:end],
            y[row:end],
            dy[row:end],
            dx[row:end],
            dshortcut[row:end],
        )
        if relu and add:
            for k in range(len(values)):
                dz = errors[k] if results[k] > 0 else zero
                to_shortcut[k] = dz
                to_x[k] = (dz - shift[k] - (values[k] - mean[k]) * slope[k]) * factor[k]
        elif relu:
            for k in range(len(values)):
                dz = errors[k] if results[k] > 0 else zero
                to_x[k] = (dz - shift[k] - (values[k] - mean[k]) * slope[k]) * factor[k]
        else:
            for k in range(len(values)):
                to_x[k] = (errors[k] - shift[k] - (values[k] - mean[k]) * slope[k]) * factor[k]


@kernel("batch_norm_gradient", "numba")
def batch_norm_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, dy, x, gamma, mean, variance, eps, out, False)


@kernel("bn_relu_gradient", "numba")
def bn_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, y, x, gamma, mean, variance, eps, out, True)


@kernel("bn_add_relu_gradient", "numba")
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, y, x, gamma, mean, variance, eps, out, True)
