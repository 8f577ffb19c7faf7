"""Batch norm and its fusions in as few passes over memory as the formulas allow.

    forward    1 read x -> mean, variance           2 read x (and the shortcut), write y
    backward   1 read dy, x -> dbeta, dgamma         2 read dy, x, write dx
               1 read dy, y, x, write dshortcut      2 read dshortcut, x, write dx       after an addition

    y = max(xhat * gamma + beta + shortcut, 0),  xhat = (x - mean) * inv_std
    dx = gamma * inv_std * (dz - mean(dz) - xhat * mean(dz * xhat)),  dz = dshortcut = dy where y > 0

Without an addition the sign of y is computed again from x, which costs less than to read it.
The passes themselves are in `columns.py`. An item is a run of rows that stays in the first-level cache; each gives its
own mean and sum of squared deviations, and the items' are combined in order and in float64 (Chan, Golub, LeVeque 1979),
so that nothing cancels and nothing depends on the number of threads. What does not fill a row is filled up to one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tinyres.kernels.on_numba.columns import (
    ALONE,
    GRADIENT,
    GRADIENT_RELU,
    GRADIENT_SUMS,
    GRADIENT_SUMS_ADD_RELU,
    GRADIENT_SUMS_RELU,
    NORMALISE,
    NORMALISE_ADD_RELU,
    NORMALISE_RELU,
    SQUARES,
    TOTAL,
    WITH_ADD_RELU,
    WITH_RELU,
    parts_of,
    sweep,
)  # fmt: skip
from tinyres.kernels.on_numba.stream import bypasses
from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any


def _statistics(x: Array, mean: Array, variance: Array) -> None:
    moments = []
    for part in parts_of(len(mean), x):
        moments.append(np.empty((part.items, 3, len(mean))))
        share(_item_moments, part.items, x.size, part.arrays, part.values, part.rows, part.span, moments[-1])
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


@njit(nogil=True, cache=True)
def _fill(lines, numbers, eps):  # type: ignore[no-untyped-def]
    """Mean, gamma * inv_std and beta along the first three lines."""
    mean, variance, gamma, beta = numbers
    _repeat(mean, lines[0])
    _repeat(gamma * _inverse(variance, eps), lines[1])
    _repeat(beta, lines[2])


def _normalise(
    x: Array, gamma: Array, beta: Array, shortcut: Array, mean: Array, variance: Array, eps: float, y: Array, then: int
) -> None:
    numbers = mean, variance, gamma, beta
    for part in parts_of(len(mean), x, shortcut, y):
        arrays = part.arrays
        share(_normalise_items, part.items, x.size, arrays[:2], arrays[2:], numbers, eps, part.rows, part.span, then)
        part.take_back(y, 2)


@njit(nogil=True, cache=True)
def _normalise_items(start, stop, arrays, results, numbers, eps, rows, span, then):  # type: ignore[no-untyped-def]
    lines = np.empty((3, span), numbers[0].dtype)
    _fill(lines, numbers, eps)
    first, bypass = start * rows, bypasses(results[0])
    count = min(stop * rows, len(results[0]) // span) - first
    if then == ALONE:
        sweep(arrays, results, lines, lines, first * span, count, span, NORMALISE, bypass)
    elif then == WITH_RELU:
        sweep(arrays, results, lines, lines, first * span, count, span, NORMALISE_RELU, bypass)
    else:
        sweep(arrays, results, lines, lines, first * span, count, span, NORMALISE_ADD_RELU, bypass)


@kernel("batch_norm", "numba")
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, x, mean, variance, eps, y, ALONE)


@kernel("bn_relu", "numba")
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, Array, Array]) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, x, mean, variance, eps, y, WITH_RELU)


@kernel("bn_add_relu", "numba")
def bn_add_relu(
    x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float, out: tuple[Array, Array, Array]
) -> None:
    y, mean, variance = out
    _statistics(x, mean, variance)
    _normalise(x, gamma, beta, shortcut, mean, variance, eps, y, WITH_ADD_RELU)


@kernel("batch_norm_eval", "numba")
def batch_norm_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: Array
) -> None:
    _normalise(x, gamma, beta, x, mean, variance, eps, out, ALONE)


def _gradient(
    dy: Array, x: Array, numbers: tuple[Array, ...], eps: float, out: tuple[Array, ...], then: int, y: Array
) -> None:
    """`numbers` are mean, variance, gamma, beta; `out` is dx, dgamma, dbeta and, after an addition, dshortcut."""
    dx, dgamma, dbeta = out[:3]
    dz = out[3] if then == WITH_ADD_RELU else dx
    totals = []
    for part in parts_of(len(dgamma), dy, x, y, dz):
        totals.append(np.empty((part.items, 2, len(dgamma))))
        arrays, results = part.arrays[:3], part.arrays[3:]
        share(_item_sums, part.items, x.size, arrays, results, numbers, eps, part.rows, part.span, then, totals[-1])
        if then == WITH_ADD_RELU:
            part.take_back(dz, 3)
    _add_up(totals[0] if len(totals) == 1 else np.concatenate(totals), numbers[1], eps, dgamma, dbeta)
    if then == WITH_ADD_RELU:  # what the ReLU lets pass is known by now
        dy, then = dz, ALONE
    sums, count = (dgamma, dbeta), x.size // len(dgamma)
    for part in parts_of(len(dgamma), dy, x, dx):
        arrays, results = part.arrays[:2], part.arrays[2:]
        share(
            _gradient_items, part.items, x.size, arrays, results, numbers, sums, eps, count, part.rows, part.span,
            then,
        )  # fmt: skip
        part.take_back(dx, 2)


@njit(nogil=True, cache=True)
def _item_sums(start, stop, arrays, results, numbers, eps, rows, span, then, totals):  # type: ignore[no-untyped-def]
    """Of each item, per channel: sum dz and sum dz * (x - mean)."""
    channels, bypass = totals.shape[2], bypasses(results[0])
    lines, sums = np.empty((3, span), numbers[0].dtype), np.empty((2, span), numbers[0].dtype)
    _fill(lines, numbers, eps)
    for item in range(start, stop):
        first, here = item * rows * span, min(rows, len(arrays[0]) // span - item * rows)
        sums[:] = 0
        if then == ALONE:
            sweep(arrays, results, lines, sums, first, here, span, GRADIENT_SUMS, False)
        elif then == WITH_RELU:
            sweep(arrays, results, lines, sums, first, here, span, GRADIENT_SUMS_RELU, False)
        else:
            sweep(arrays, results, lines, sums, first, here, span, GRADIENT_SUMS_ADD_RELU, bypass)
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
    start, stop, arrays, results, numbers, sums, eps, count, rows, span, then
):
    (dgamma, dbeta), share_of_one = sums, numbers[0].dtype.type(1 / count)
    lines = np.empty((5, span), numbers[0].dtype)
    _fill(lines, numbers, eps)
    _repeat(_inverse(numbers[1], eps) * dgamma * share_of_one, lines[3])
    _repeat(dbeta * share_of_one, lines[4])
    first, bypass = start * rows, bypasses(results[0])
    here = min(stop * rows, len(results[0]) // span) - first
    if then == ALONE:
        sweep(arrays, results, lines, lines, first * span, here, span, GRADIENT, bypass)
    else:
        sweep(arrays, results, lines, lines, first * span, here, span, GRADIENT_RELU, bypass)


@kernel("batch_norm_gradient", "numba")
def batch_norm_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, x, (mean, variance, gamma, gamma), eps, out, ALONE, x)


@kernel("bn_relu_gradient", "numba")
def bn_relu_gradient(
    dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, x, (mean, variance, gamma, beta), eps, out, WITH_RELU, x)


@kernel("bn_add_relu_gradient", "numba")
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, x, (mean, variance, gamma, gamma), eps, out, WITH_ADD_RELU, y)
