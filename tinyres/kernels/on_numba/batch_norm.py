"""Batch norm and its fusions in as few passes over memory as the formulas allow.

    forward    1 read x -> mean, variance           2 read x (and the shortcut), write y
    backward   1 read dy, y, x -> dbeta, dgamma      2 read dy, y, x, write dx (and dshortcut)

    y = max(xhat * gamma + beta + shortcut, 0),  xhat = (x - mean) * inv_std
    dx = gamma * inv_std * (dz - mean(dz) - xhat * mean(dz * xhat)),  dz = dy where y > 0

The passes themselves are in `columns.py`. An item is a run of rows that stays in the first-level cache; each gives its
own mean and sum of squared deviations, and the items' are combined in order and in float64 (Chan, Golub, LeVeque 1979),
so that nothing cancels and nothing depends on the number of threads. What does not fill a row is filled up to one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.columns import (
    GRADIENT,
    GRADIENT_ADD_RELU,
    GRADIENT_RELU,
    GRADIENT_SUMS,
    GRADIENT_SUMS_RELU,
    NORMALISE,
    NORMALISE_ADD_RELU,
    NORMALISE_RELU,
    SQUARES,
    TOTAL,
    parts_of,
    sweep,
)  # fmt: skip
from tinyres.kernels.on_numba.stream import bypasses
from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any

PLAIN, RELU, ADD_RELU = range(3)  # what follows the normalisation


def _statistics(x: Array, mean: Array, variance: Array) -> None:
    moments = []
    for part in parts_of(len(mean), x):
        moments.append(np.empty((part.items, 3, len(mean))))
        share(_item_moments, part.items, 3 * x.size, part.arrays, part.values, part.rows, part.span, moments[-1])
    _combine(moments[0] if len(moments) == 1 else np.concatenate(moments), mean, variance)


@njit(nogil=True, cache=True)
def _item_moments(start, stop, arrays, valid, rows, span, moments):  # type: ignore[no-untyped-def]
    """Of each item, per channel: how many values, their mean, and the sum of squared deviations from it."""
    x, channels = arrays[0], moments.shape[2]
    centre, sums = np.empty((1, span), x.dtype), np.empty((1, span), x.dtype)
    for item in range(start, stop):
        first = item * rows * span
        count = min(rows * span, valid - first) // channels
        here = min(rows, len(x) // span - item * rows)
        sums[:] = 0
        sweep(arrays, arrays, centre, sums, first, here, span, TOTAL, False)
        for c in range(channels):
            moments[item, 0, c] = count
            moments[item, 1, c] = x.dtype.type(_of_channel(sums[0], c, channels) / count)
            for k in range(c, span, channels):
                centre[0, k] = moments[item, 1, c]
        for k in range(valid, len(x)):  # the filling does not deviate
            x[k] = centre[0, k]
        sums[:] = 0
        sweep(arrays, arrays, centre, sums, first, here, span, SQUARES, False)
        for c in range(channels):
            moments[item, 2, c] = _of_channel(sums[0], c, channels)


@njit(nogil=True, cache=True)
def _of_channel(line, c, channels):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(c, len(line), channels):
        total += line[k]
    return total


@njit(nogil=True, cache=True)
def _combine(moments, mean, variance):  # type: ignore[no-untyped-def]
    """Mean and biased variance of all items together."""
    for c in range(len(mean)):
        total, centre, squares = 0.0, 0.0, 0.0
        for item in range(len(moments)):
            total += moments[item, 0, c]
            centre += moments[item, 0, c] * moments[item, 1, c]
        centre /= total
        for item in range(len(moments)):
            squares += moments[item, 2, c] + moments[item, 0, c] * (moments[item, 1, c] - centre) ** 2
        mean[c], variance[c] = centre, squares / total


@njit(nogil=True, cache=True)
def _inverse(variance, eps):  # type: ignore[no-untyped-def]
    """1 / sqrt(variance + eps), in the type of the variance."""
    real = variance.dtype.type
    return real(1) / np.sqrt(variance + real(eps))


@njit(nogil=True, cache=True)
def _repeat(per_channel, line):  # type: ignore[no-untyped-def]
    """One channel after the other along a line."""
    for k in range(len(line)):
        line[k] = per_channel[k % len(per_channel)]


def _normalise(
    x: Array, gamma: Array, beta: Array, shortcut: Array, mean: Array, variance: Array, eps: float, y: Array, then: int
) -> None:
    numbers = mean, variance, gamma, beta
    for part in parts_of(len(mean), x, shortcut, y):
        arrays = part.arrays
        share(
            _normalise_items, part.items, 3 * x.size, arrays[:2], arrays[2:], numbers, eps, part.rows, part.span, then
        )
        part.take_back(y, 2)


@njit(nogil=True, cache=True)
def _normalise_items(start, stop, arrays, results, numbers, eps, rows, span, then):  # type: ignore[no-untyped-def]
    mean, variance, gamma, beta = numbers
    lines = np.empty((3, span), mean.dtype)
    _repeat(mean, lines[0])
    _repeat(gamma * _inverse(variance, eps), lines[1])
    _repeat(beta, lines[2])
    first, bypass = start * rows, bypasses(results[0])
    count = min(stop * rows, len(results[0]) // span) - first
    if then == PLAIN:
        sweep(arrays, results, lines, lines, first * span, count, span, NORMALISE, bypass)
    elif then == RELU:
        sweep(arrays, results, lines, lines, first * span, count, span, NORMALISE_RELU, bypass)
    else:
        sweep(arrays, results, lines, lines, first * span, count, span, NORMALISE_ADD_RELU, bypass)


@kernel("batch_norm", "numba")
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, x, mean, variance, eps, y, PLAIN)


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
    _normalise(x, gamma, beta, shortcut, mean, variance, eps, y, ADD_RELU)


@kernel("batch_norm_eval", "numba")
def batch_norm_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: Array
) -> None:
    _normalise(x, gamma, beta, x, mean, variance, eps, out, PLAIN)


def _gradient(
    dy: Array,
    y: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    variance: Array,
    eps: float,
    out: tuple[Array, ...],
    then: int,
) -> None:
    """`out` is dx, dgamma, dbeta and, after an addition, dshortcut."""
    dx, dgamma, dbeta = out[:3]
    dshortcut = out[3] if then == ADD_RELU else dx
    totals = []
    for part in parts_of(len(mean), dy, x, y):
        totals.append(np.empty((part.items, 2, len(mean))))
        share(_item_sums, part.items, 4 * x.size, part.arrays, mean, part.rows, part.span, then, totals[-1])
    _add_up(totals[0] if len(totals) == 1 else np.concatenate(totals), variance, eps, dgamma, dbeta)
    numbers, count = (mean, variance, gamma, dgamma, dbeta), x.size // len(mean)
    for part in parts_of(len(mean), dy, x, y, dx, dshortcut):
        arrays, results = part.arrays[:3], part.arrays[3:]
        share(
            _gradient_items, part.items, 6 * x.size, arrays, results, numbers, eps, count, part.rows, part.span, then
        )  # fmt: skip
        part.take_back(dx, 3)
        if then == ADD_RELU:
            part.take_back(dshortcut, 4)


@njit(nogil=True, cache=True)
def _item_sums(start, stop, arrays, mean, rows, span, then, totals):  # type: ignore[no-untyped-def]
    """Of each item, per channel: sum dz and sum dz * (x - mean)."""
    channels = totals.shape[2]
    line, sums = np.empty((1, span), mean.dtype), np.empty((2, span), mean.dtype)
    _repeat(mean, line[0])
    for item in range(start, stop):
        first, here = item * rows * span, min(rows, len(arrays[0]) // span - item * rows)
        sums[:] = 0
        if then == PLAIN:
            sweep(arrays, arrays, line, sums, first, here, span, GRADIENT_SUMS, False)
        else:
            sweep(arrays, arrays, line, sums, first, here, span, GRADIENT_SUMS_RELU, False)
        for c in range(channels):
            totals[item, 0, c] = _of_channel(sums[0], c, channels)
            totals[item, 1, c] = _of_channel(sums[1], c, channels)


@njit(nogil=True, cache=True)
def _add_up(totals, variance, eps, dgamma, dbeta):  # type: ignore[no-untyped-def]
    """Sum dz and sum dz * xhat over all items."""
    inv_std = _inverse(variance, eps)
    for c in range(len(dgamma)):
        plain, weighted = 0.0, 0.0
        for item in range(len(totals)):
            plain += totals[item, 0, c]
            weighted += totals[item, 1, c]
        dbeta[c], dgamma[c] = plain, weighted * inv_std[c]


@njit(nogil=True, cache=True)
def _gradient_items(  # type: ignore[no-untyped-def]
    start, stop, arrays, results, numbers, eps, count, rows, span, then
):
    mean, variance, gamma, dgamma, dbeta = numbers
    inv_std, share_of_one = _inverse(variance, eps), mean.dtype.type(1 / count)
    lines = np.empty((4, span), mean.dtype)
    _repeat(mean, lines[0])
    _repeat(inv_std * dgamma * share_of_one, lines[1])
    _repeat(dbeta * share_of_one, lines[2])
    _repeat(gamma * inv_std, lines[3])
    first, bypass = start * rows, bypasses(results[0]) and bypasses(results[1])
    here = min(stop * rows, len(results[0]) // span) - first
    if then == PLAIN:
        sweep(arrays, results, lines, lines, first * span, here, span, GRADIENT, bypass)
    elif then == RELU:
        sweep(arrays, results, lines, lines, first * span, here, span, GRADIENT_RELU, bypass)
    else:
        sweep(arrays, results, lines, lines, first * span, here, span, GRADIENT_ADD_RELU, bypass)


@kernel("batch_norm_gradient", "numba")
def batch_norm_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, dy, x, gamma, mean, variance, eps, out, PLAIN)


@kernel("bn_relu_gradient", "numba")
def bn_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, y, x, gamma, mean, variance, eps, out, RELU)


@kernel("bn_add_relu_gradient", "numba")
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, y, x, gamma, mean, variance, eps, out, ADD_RELU)
