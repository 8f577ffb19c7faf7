"""Sums over many threads and many blocks, in a fixed order: those of batch norm, and what is left of other kernels.

Adding into one place from all threads (an atomic addition) would add in the order in which they happen to come, and
floating-point sums depend on their order: no two runs would be alike. Here the threads of a block add up in a tree,
each block leaves a row in a buffer, and the rows are added in their order.

A batch [..., C] is read as a matrix [M, C]. A block has some channels and some rows of it (a `Cut`); its threads are
LANES x CHANNELS, so that neighbours read neighbouring channels, and each goes down its own column.

Mean and variance: a block finds the mean of its rows and, from that, the sum of the squared deviations; the blocks are
put together in float64 by the formula of Chan, Golub and LeVeque (1979). So nothing cancels, as it would in
mean(x^2) - mean(x)^2. Not yet run on a GPU.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda

from tinyres.kernels.on_numba_cuda.device import blocks_for, empty, launch, simulated

Array = Any
ALONE, RELU, ADD_RELU = range(3)  # what follows batch norm
BLOCKS = 1024  # as many as fill a large card


@dataclass(frozen=True)
class Cut:
    """How a matrix is divided: channels and lanes of a block, rows of a block, blocks one below the other."""

    channels: int
    lanes: int  # a power of two
    span: int
    slices: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.channels * self.lanes

    def grid(self, width: int) -> tuple[int, int]:
        """Blocks for so many channels."""
        return self.slices, blocks_for(width, self.channels)


def cut_for(rows: int, width: int) -> Cut:
    """The cut of a matrix, from its shape alone: the bits of a result do not depend on the card."""
    channels, lanes = (4, 4) if simulated() else (16, 16) if width <= 16 else (32, 8)
    span = max(4 * lanes, blocks_for(rows * blocks_for(width, channels), 2 if simulated() else BLOCKS))
    return Cut(channels, lanes, span, max(1, blocks_for(rows, span)))


@cuda.jit(device=True, inline="always")  # type: ignore[untyped-decorator]
def add_lanes(lanes: Array, t: int, width: int, half: int) -> None:
    """Add up the columns of `lanes` [2 * half, width] in a tree; the sums are in its first row."""
    while half > 0:
        cuda.syncthreads()  # those above have written theirs
        if t < half * width:
            lanes[t] += lanes[t + half * width]
        half //= 2
    cuda.syncthreads()


@functools.cache
def _add_rows(VALUES: int, LANES: int) -> Any:
    """Lane l of a value adds rows l, l + LANES, ..."""
    THREADS = VALUES * LANES

    @cuda.jit
    def add(rows, count, width, total):  # type: ignore[no-untyped-def]
        lanes = cuda.shared.array(THREADS, np.float64)
        t = cuda.threadIdx.x
        v = cuda.blockIdx.x * VALUES + t % VALUES
        mine = 0.0
        if v < width:
            for row in range(t // VALUES, count, LANES):
                mine += rows[row * width + v]
        lanes[t] = mine
        add_lanes(lanes, t, VALUES, LANES // 2)
        if t < VALUES and v < width:
            total[v] = lanes[t]

    return add


def add_rows(rows: Array, total: Array) -> None:
    """Write the sum of the rows of `rows` [count, width], taken in float64, into `total`, of `width` values."""
    values, lanes = (4, 2) if simulated() else (32, 8)
    count, width = rows.shape
    launch(
        _add_rows(values, lanes), blocks_for(width, values), values * lanes,
        rows.reshape(-1), count, width, total.reshape(-1),
    )  # fmt: skip


@functools.cache
def _moments(CHANNELS: int, LANES: int, real: Any) -> Any:
    """Of each block and channel: the mean, and the sum of squared deviations from it."""
    THREADS = CHANNELS * LANES

    @cuda.jit
    def moments(x, M, C, span, means, squares):  # type: ignore[no-untyped-def]
        lanes = cuda.shared.array(THREADS, real)
        t, block = cuda.threadIdx.x, cuda.blockIdx.x
        c = cuda.blockIdx.y * CHANNELS + t % CHANNELS
        first, last = block * span + t // CHANNELS, min((block + 1) * span, M)
        total = real(0)
        if c < C:
            for row in range(first, last, LANES):
                total += x[row * C + c]
        lanes[t] = total
        add_lanes(lanes, t, CHANNELS, LANES // 2)
        mean = lanes[t % CHANNELS] / real(last - block * span)
        total = real(0)
        if c < C:
            for row in range(first, last, LANES):
                total += (x[row * C + c] - mean) ** 2
        cuda.syncthreads()  # everybody has read the mean
        lanes[t] = total
        add_lanes(lanes, t, CHANNELS, LANES // 2)
        if t < CHANNELS and c < C:
            means[block * C + c] = mean
            squares[block * C + c] = lanes[t]

    return moments


@functools.cache
def _together(THREADS: int) -> Any:
    """Mean and biased variance of all blocks together, one channel a block."""

    @cuda.jit
    def together(means, squares, M, C, span, slices, mean, variance):  # type: ignore[no-untyped-def]
        lanes = cuda.shared.array(THREADS, np.float64)
        t, c = cuda.threadIdx.x, cuda.blockIdx.x
        total = 0.0
        for block in range(t, slices, THREADS):
            total += float(min(span, M - block * span)) * means[block * C + c]
        lanes[t] = total
        add_lanes(lanes, t, 1, THREADS // 2)
        centre = lanes[0] / M
        total = 0.0
        for block in range(t, slices, THREADS):
            apart = means[block * C + c] - centre
            total += squares[block * C + c] + float(min(span, M - block * span)) * apart * apart
        cuda.syncthreads()  # everybody has read the centre
        lanes[t] = total
        add_lanes(lanes, t, 1, THREADS // 2)
        if t == 0:
            mean[c] = centre
            variance[c] = lanes[0] / M

    return together


def statistics(x: Array, mean: Array, variance: Array) -> None:
    """Write the mean and the biased variance of each channel of x [..., C]."""
    width, threads = len(mean), 4 if simulated() else 128
    rows = x.size // width
    cut = cut_for(rows, width)
    means, squares = (empty(cut.slices * width, x.dtype) for _ in range(2))
    moments = _moments(cut.channels, cut.lanes, x.dtype.type)
    launch(moments, cut.grid(width), cut.threads, x.reshape(-1), rows, width, cut.span, means, squares)
    launch(_together(threads), width, threads, means, squares, rows, width, cut.span, cut.slices, mean, variance)


@cuda.jit(device=True, inline="always")  # type: ignore[untyped-decorator]
def normalised(x: float, mean: float, factor: float, beta: float) -> float:
    """The value before the ReLU: the forward and the backward pass must agree on its sign."""
    return (x - mean) * factor + beta


@functools.cache
def _gradient_sums(CHANNELS: int, LANES: int, then: int, real: Any) -> Any:
    """Of each block: the sums of dz and of dz * xhat, dz being dy where the ReLU let y pass."""
    THREADS = CHANNELS * LANES

    @cuda.jit
    def gradient_sums(dy, x, y, gamma, beta, mean, variance, eps, M, C, span, rows, dz):  # type: ignore[no-untyped-def]
        lanes = cuda.shared.array(THREADS, real)
        t, block = cuda.threadIdx.x, cuda.blockIdx.x
        c = cuda.blockIdx.y * CHANNELS + t % CHANNELS
        sum_dz, sum_dz_xhat = real(0), real(0)
        if c < C:
            centre, inv_std = mean[c], real(1) / real(math.sqrt(variance[c] + eps))
            for row in range(block * span + t // CHANNELS, min((block + 1) * span, M), LANES):
                at = row * C + c
                error = dy[at]
                if then == RELU and not normalised(x[at], centre, gamma[c] * inv_std, beta[c]) > real(0):
                    error = real(0)
                if then == ADD_RELU:
                    if not y[at] > real(0):
                        error = real(0)
                    dz[at] = error
                sum_dz += error
                sum_dz_xhat += error * ((x[at] - centre) * inv_std)
        lanes[t] = sum_dz
        add_lanes(lanes, t, CHANNELS, LANES // 2)
        if t < CHANNELS and c < C:
            rows[2 * block * C + c] = lanes[t]
        cuda.syncthreads()  # everybody's sums are read
        lanes[t] = sum_dz_xhat
        add_lanes(lanes, t, CHANNELS, LANES // 2)
        if t < CHANNELS and c < C:
            rows[(2 * block + 1) * C + c] = lanes[t]

    return gradient_sums


def gradient_sums(
    dy: Array, x: Array, y: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: Any, dz: Array,
    then: int,
) -> Array:  # fmt: skip
    """The sums of dz and of dz * xhat over all rows, as [2, C]; after an addition, dz is written too."""
    width = len(mean)
    count = x.size // width
    cut = cut_for(count, width)
    rows, total = empty((cut.slices, 2 * width), x.dtype), empty((2, width), x.dtype)
    launch(
        _gradient_sums(cut.channels, cut.lanes, then, x.dtype.type), cut.grid(width), cut.threads,
        dy.reshape(-1), x.reshape(-1), y.reshape(-1), gamma, beta, mean, variance, eps, count, width, cut.span,
        rows.reshape(-1), dz.reshape(-1),
    )  # fmt: skip
    add_rows(rows, total)
    return total
