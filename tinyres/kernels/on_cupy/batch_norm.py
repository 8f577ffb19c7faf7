"""Batch norm and its fusions (`cuda/bn.cuh`): two launches forward in training, one with moments given, two back.

Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.registry import kernel

Array = Any
EVERYWHERE, BY_INPUT, BY_OUTPUT = range(3)  # where an error passes, as in bn.cuh
KEPT = 8  # values a thread keeps in shared memory while lanes are folded: two sums of four channels


def statistics(x: Array, mean: Array, variance: Array) -> None:
    """Mean and biased variance over all axes but the last."""
    rows, channels = grid.matrix(x, x.shape[-1])
    if not x.size:
        return
    aligned = grid.aligned(x)
    blocks = grid.sums(rows, channels)
    partials = cuda.module().empty((blocks[0], 3, channels), x.dtype)
    cuda.launch(
        "bn.cuh", f"statistics<{grid.real(x)}>", blocks, grid.THREADS, x, partials, grid.counters(), mean, variance,
        np.int64(rows), *grid.ints(channels, aligned), shared=KEPT * grid.THREADS * x.itemsize,
    )  # fmt: skip


def _normalise(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, shortcut: Array | None, eps: float, relu: bool,
    y: Array,
) -> None:  # fmt: skip
    rows, channels = grid.matrix(x, x.shape[-1])
    if not x.size:
        return
    added, size = "false" if shortcut is None else "true", grid.ints(channels, grid.aligned(x, shortcut, y))
    cuda.launch(
        "bn.cuh", f"normalise<{grid.real(x)}, {added}>", grid.rows(rows, channels), grid.THREADS,
        x, gamma, beta, mean, variance, shortcut, y, x.dtype.type(eps), np.int32(relu), np.int64(rows), *size,
    )  # fmt: skip


def _gradient(
    dy: Array, y: Array | None, x: Array, gamma: Array, beta: Array | None, mean: Array, variance: Array, eps: float,
    dx: Array, dgamma: Array, dbeta: Array, dshortcut: Array | None = None,
) -> None:  # fmt: skip
    """Two passes; with `y` given the first leaves what passed the ReLU as dshortcut, which the second reads."""
    rows, channels = grid.matrix(x, x.shape[-1])
    if not x.size:
        dgamma.fill(0)
        dbeta.fill(0)
        return
    mask = BY_OUTPUT if y is not None else BY_INPUT if beta is not None else EVERYWHERE
    again, real = mask if mask == BY_INPUT else EVERYWHERE, grid.real(x)
    aligned = grid.aligned(dy, y, x, dx, dshortcut)
    blocks = grid.sums(rows, channels)
    partials = cuda.module().empty((blocks[0], 2, channels), x.dtype)
    size, eps = (np.int64(rows), *grid.ints(channels, aligned)), x.dtype.type(eps)
    cuda.launch(
        "bn.cuh", f"gradient_sums<{real}, {mask}>", blocks, grid.THREADS, dy, y, x, gamma, beta, mean, variance, eps,
        dshortcut, partials, grid.counters(), dgamma, dbeta, *size, shared=KEPT * grid.THREADS * x.itemsize,
    )  # fmt: skip
    passed = dy if dshortcut is None else dshortcut
    cuda.launch(
        "bn.cuh", f"gradient<{real}, {again}>", grid.rows(rows, channels), grid.THREADS,
        passed, x, gamma, beta, mean, variance, eps, dgamma, dbeta, dx, *size,
    )  # fmt: skip


@kernel("batch_norm", "cupy", device="cuda")
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, ...]) -> None:
    y, mean, variance = out
    statistics(x, mean, variance)
    _normalise(x, gamma, beta, mean, variance, None, eps, False, y)


@kernel("bn_relu", "cupy", device="cuda")
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float, out: tuple[Array, ...]) -> None:
    y, mean, variance = out
    statistics(x, mean, variance)
    _normalise(x, gamma, beta, mean, variance, None, eps, True, y)


@kernel("bn_add_relu", "cupy", device="cuda")
def bn_add_relu(x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float, out: tuple[Array, ...]) -> None:
    y, mean, variance = out
    statistics(x, mean, variance)
    _normalise(x, gamma, beta, mean, variance, shortcut, eps, True, y)


@kernel("batch_norm_eval", "cupy", device="cuda")
def batch_norm_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: Array
) -> None:
    _normalise(x, gamma, beta, mean, variance, None, eps, False, out)


@kernel("bn_relu_eval", "cupy", device="cuda")
def bn_relu_eval(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: Array) -> None:
    _normalise(x, gamma, beta, mean, variance, None, eps, True, out)


@kernel("bn_add_relu_eval", "cupy", device="cuda")
def bn_add_relu_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, shortcut: Array, *, eps: float, out: Array
) -> None:
    _normalise(x, gamma, beta, mean, variance, shortcut, eps, True, out)


@kernel("batch_norm_gradient", "cupy", device="cuda")
def batch_norm_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, None, x, gamma, None, mean, variance, eps, *out)


@kernel("bn_relu_gradient", "cupy", device="cuda")
def bn_relu_gradient(
    dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, None, x, gamma, beta, mean, variance, eps, *out)


@kernel("bn_add_relu_gradient", "cupy", device="cuda")
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, ...]
) -> None:
    _gradient(dy, y, x, gamma, None, mean, variance, eps, *out)


@kernel("running_averages", "cupy", device="cuda")
def running_averages(
    running_mean: Array, running_var: Array, mean: Array, variance: Array, *, momentum: float, scale: float,
    out: tuple[Array, Array],
) -> None:  # fmt: skip
    """Both in one launch; `out` may be the running averages themselves."""
    factors = (mean.dtype.type(momentum), mean.dtype.type(scale))
    arrays = running_mean, running_var, mean, variance, *factors, *out
    grid.values("update.cuh", "running_averages", mean, *arrays, np.int32(mean.size))
