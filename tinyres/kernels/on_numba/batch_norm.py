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
    items_of,
    parts_of,
    span_of,
    sweep,
    take_back,
)  # fmt: skip
from tinyres.kernels.on_numba.stream import bypasses
from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any

PLAIN, RELU, ADD_RELU = range(3)  # what follows the normalisation


def _repeated(*per_channel: Array) -> Array:
    """Lines [n, span] of per-channel numbers, one channel after the other along the line."""
    channels, itemsize = len(per_channel[0]), per_channel[0].itemsize
    return np.tile(np.stack(per_channel), span_of(channels, itemsize) // channels)


def _statistics(x: Array, mean: Array, variance: Array) -> None:
    channels = len(mean)
    found = []
    for (values,), begin, end in parts_of(channels, x):
        rows, span, items = items_of(values, channels)
        means, squares = np.empty((items, channels)), np.empty((items, channels))
        share(_item_moments, items, 3 * len(values), (values,), end - begin, rows, span, means, squares)
        counts = np.minimum(rows * span, end - begin - rows * span * np.arange(items)) // channels
        found.append((means, squares, counts))
    means, squares, counts = (np.concatenate(part) for part in zip(*found, strict=True))
    total = counts.sum()
    centre = counts @ means / total
    mean[...] = centre
    variance[...] = (squares.sum(0) + counts @ np.square(means - centre)) / total


@njit(nogil=True, cache=True)
def _item_moments(start, stop, arrays, valid, rows, span, means, squares):  # type: ignore[no-untyped-def]
    """Of each item, per channel: the mean, and the sum of squared deviations from it."""
    x, channels = arrays[0], means.shape[1]
    centre, sums = np.empty((1, span), x.dtype), np.empty((1, span), x.dtype)
    for item in range(start, stop):
        first = item * rows * span
        count = min(rows * span, valid - first) // channels
        here = min(rows, len(x) // span - item * rows)
        sums[:] = 0
        sweep(arrays, arrays, centre, sums, first, here, span, TOTAL, False)
        for c in range(channels):
            means[item, c] = x.dtype.type(_of_channel(sums[0], c, channels) / count)
            for k in range(c, span, channels):
                centre[0, k] = means[item, c]
        if valid < len(x):  # the filling does not deviate
            x[valid:] = centre[0, valid:]
        sums[:] = 0
        sweep(arrays, arrays, centre, sums, first, here, span, SQUARES, False)
        for c in range(channels):
            squares[item, c] = _of_channel(sums[0], c, channels)


@njit(nogil=True, cache=True)
def _of_channel(line, c, channels):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(c, len(line), channels):
        total += line[k]
    return total


def _normalise(
    x: Array, gamma: Array, beta: Array, shortcut: Array, mean: Array, variance: Array, eps: float, y: Array, then: int
) -> None:
    lines = _repeated(mean, gamma / np.sqrt(variance + variance.dtype.type(eps)), beta)
    for (*arrays, result), begin, end in parts_of(len(mean), x, shortcut, y):
        rows, _, items = items_of(result, len(mean))
        share(_normalise_items, items, 3 * len(result), tuple(arrays), (result,), lines, rows, then, bypasses(result))
        take_back(y, result, begin, end)


@njit(nogil=True, cache=True)
def _normalise_items(start, stop, arrays, results, lines, rows, then, bypass):  # type: ignore[no-untyped-def]
    span = lines.shape[1]
    begin, end = start * rows, min(stop * rows, len(results[0]) // span)
    if then == PLAIN:
        sweep(arrays, results, lines, lines, begin * span, end - begin, span, NORMALISE, bypass)
    elif then == RELU:
        sweep(arrays, results, lines, lines, begin * span, end - begin, span, NORMALISE_RELU, bypass)
    else:
        sweep(arrays, results, lines, lines, begin * span, end - begin, span, NORMALISE_ADD_RELU, bypass)


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
    channels = len(gamma)
    sums, lines = [], _repeated(mean)
    for arrays, _, _ in parts_of(channels, dy, x, y):
        rows, _, items = items_of(arrays[0], channels)
        sums.append(np.empty((items, 2, channels)))
        share(_item_sums, items, 4 * len(arrays[0]), arrays, lines, rows, then, sums[-1])
    plain, weighted = np.concatenate(sums).sum(0)
    dx, dgamma, dbeta = out[:3]
    inv_std = 1 / np.sqrt(variance + variance.dtype.type(eps))
    dgamma[...], dbeta[...] = weighted * inv_std, plain
    count = x.size // channels
    lines = _repeated(mean, inv_std * dgamma / count, dbeta / count, gamma * inv_std)
    dshortcut = out[3] if then == ADD_RELU else dx
    for (a, b, c, *results), begin, end in parts_of(channels, dy, x, y, dx, dshortcut):
        rows, _, items = items_of(a, channels)
        share(_gradient_items, items, 6 * len(a), (a, b, c), tuple(results), lines, rows, then, bypasses(*results))
        take_back(dx, results[0], begin, end)
        if then == ADD_RELU:
            take_back(dshortcut, results[1], begin, end)


@njit(nogil=True, cache=True)
def _item_sums(start, stop, arrays, lines, rows, then, totals):  # type: ignore[no-untyped-def]
    """Of each item, per channel: sum dz and sum dz * (x - mean)."""
    span, channels = lines.shape[1], totals.shape[2]
    sums = np.empty((2, span), lines.dtype)
    for item in range(start, stop):
        first, here = item * rows * span, min(rows, len(arrays[0]) // span - item * rows)
        sums[:] = 0
        if then == PLAIN:
            sweep(arrays, arrays, lines, sums, first, here, span, GRADIENT_SUMS, False)
        else:
            sweep(arrays, arrays, lines, sums, first, here, span, GRADIENT_SUMS_RELU, False)
        for c in range(channels):
            totals[item, 0, c] = _of_channel(sums[0], c, channels)
            totals[item, 1, c] = _of_channel(sums[1], c, channels)


@njit(nogil=True, cache=True)
def _gradient_items(start, stop, arrays, results, lines, rows, then, bypass):  # type: ignore[no-untyped-def]
    span = lines.shape[1]
    begin, end = start * rows, min(stop * rows, len(results[0]) // span)
    if then == PLAIN:
        sweep(arrays, results, lines, lines, begin * span, end - begin, span, GRADIENT, bypass)
    elif then == RELU:
        sweep(arrays, results, lines, lines, begin * span, end - begin, span, GRADIENT_RELU, bypass)
    else:
        sweep(arrays, results, lines, lines, begin * span, end - begin, span, GRADIENT_ADD_RELU, bypass)


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
