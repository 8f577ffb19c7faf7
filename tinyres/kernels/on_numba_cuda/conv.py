"""Convolution on a GPU, tiled: what the threads of a block need in common is read once, into shared memory.

    y[n,i,j,f] = sum over r, s, c of  x[n, i*stride + r - top, j*stride + s - left, c] * w[r,s,c,f]

A block computes a tile of pixels by some filters (`tiles.py`). Some channels at a time, its threads copy the tile's
input, with the border that the windows reach beyond it, and those channels of the filters, and wait for each other;
then each of them adds up its own pixels and filters in registers. Shared memory: input [c][row][column], filters
[r][s][c][f]. Values outside the image are zeros in it, and values outside the result are not written, so any shape will
do. A value of the result is one thread's sum, in an order that the shapes alone decide.

The gradient for the input is a convolution too, of dy, with the filters turned round and the roles of c and f
exchanged, padded by R - 1 - top; where the stride is above 1, with zeros between the pixels of dy (`spread`), which are
multiplied like other values: a quarter of the work counts there with stride 2.

Windows too large for shared memory go to `naive.py`. Every size that is written in capitals is a constant of the
compiled kernel; there is one kernel for each geometry. Not yet run on a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import cuda

from tinyres.kernels.on_numba_cuda import missing, naive
from tinyres.kernels.on_numba_cuda.device import blocks_for, launch
from tinyres.kernels.on_numba_cuda.tiles import Tile, plane, tile_for
from tinyres.kernels.registry import kernel

Array = Any
place = np.uintp  # an index that cannot be negative: Numba would look at each whether to count it from the end


@functools.cache
def tiled(tile: Tile, window: tuple[int, ...], stride: int, spread: int, turned: bool, real: Any) -> Any:
    """The kernel for one geometry. Its arrays are flat: x [N, H, W, groups * ins], y [N, I, J, groups * outs], w."""
    R, S = window
    ROWS, COLUMNS, FILTERS, PIXELS, EACH, DEPTH = vars(tile).values()
    HIGH, WIDE = (ROWS - 1) * stride + R, (COLUMNS - 1) * stride + S  # the input of a tile, with its border
    PLANE = plane(ROWS, COLUMNS, window, stride)
    RUN = (PIXELS - 1) * stride + S  # the input of a thread, in a row
    ACROSS, LANES, THREADS = COLUMNS // PIXELS, FILTERS // EACH, tile.threads
    INPUT, WEIGHTS, SUMS = DEPTH * PLANE, R * S * DEPTH * FILTERS, PIXELS * EACH

    @cuda.jit
    def conv(x, w, y, H, W, I, J, groups, ins, outs, top, left):  # type: ignore[no-untyped-def]
        xs = cuda.shared.array(INPUT, real)  # each on a line of its own: by its line the simulator knows it
        ws = cuda.shared.array(WEIGHTS, real)
        sums, run = cuda.local.array(SUMS, real), cuda.local.array(RUN, real)
        t, b, parts = cuda.threadIdx.x, cuda.blockIdx.x, (outs + FILTERS - 1) // FILTERS
        group, f0 = cuda.blockIdx.y // parts, cuda.blockIdx.y % parts * FILTERS
        high, wide = (I + ROWS - 1) // ROWS, (J + COLUMNS - 1) // COLUMNS
        n, i0, j0 = b // (high * wide), b // wide % high * ROWS, b % wide * COLUMNS
        lane, row, column = t % LANES, t // LANES // ACROSS, t // LANES % ACROSS * PIXELS
        for k in range(SUMS):
            sums[k] = real(0)
        c, f = t % DEPTH, f0 + t % FILTERS  # what this thread copies: neighbours read neighbouring values
        per_pixel, filters = groups * ins, groups * outs
        x_at = n * H * W * per_pixel + group * ins + c
        if turned:
            w_at, per_tap, per_channel = ((R * S - 1) * outs + f) * per_pixel + group * ins, -outs * per_pixel, 1
        else:
            w_at, per_tap, per_channel = group * outs + f, ins * filters, filters
        for c0 in range(0, ins, DEPTH):  # some channels at a time: copy, wait, add up
            here = min(DEPTH, ins - c0)
            cuda.syncthreads()  # nobody needs the channels before any longer
            for p in range(HIGH):
                h = i0 * stride + p - top
                inside = c < here and 0 <= h <= (H - 1) * spread and h % spread == 0
                at = x_at + c0 + h // spread * W * per_pixel
                for k in range((WIDE * DEPTH + THREADS - 1) // THREADS):
                    q = k * (THREADS // DEPTH) + t // DEPTH
                    if q < WIDE:
                        value, v = real(0), j0 * stride + q - left
                        if inside and 0 <= v <= (W - 1) * spread and v % spread == 0:
                            value = x[place(at + v // spread * per_pixel)]
                        xs[place(c * PLANE + p * WIDE + q)] = value
            for tap in range(R * S):
                for k in range((DEPTH * FILTERS + THREADS - 1) // THREADS):
                    d = k * (THREADS // FILTERS) + t // FILTERS
                    if d < DEPTH:
                        value = real(0)
                        if d < here and f < outs:
                            value = w[place(w_at + tap * per_tap + (c0 + d) * per_channel)]
                        ws[place((tap * DEPTH + d) * FILTERS + t % FILTERS)] = value
            cuda.syncthreads()  # all of it is there
            for d in range(here):
                for r in range(R):
                    first = d * PLANE + (row * stride + r) * WIDE + column * stride
                    for k in range(RUN):
                        run[k] = xs[place(first + k)]
                    for s in range(S):
                        for k in range(EACH):
                            weight = ws[place(((r * S + s) * DEPTH + d) * FILTERS + k * LANES + lane)]
                            for p in range(PIXELS):
                                sums[k * PIXELS + p] += run[p * stride + s] * weight
        i = i0 + row  # write what is inside the result
        for p in range(PIXELS):
            j = j0 + column + p
            if i < I and j < J:
                first = ((n * I + i) * J + j) * filters + group * outs
                for k in range(EACH):
                    d = f0 + k * LANES + lane
                    if d < outs:
                        y[place(first + d)] = sums[k * PIXELS + p]

    return conv


@kernel("conv2d", "numba_cuda", device="cuda", requires=missing)
def conv2d(x: Array, w: Array, *, stride: int, padding: tuple[int, ...], groups: int, out: Array) -> None:
    tile = tile_for(w.shape[3] // groups, w.shape[:2], stride, x.itemsize)
    if tile is None:
        naive.conv2d(x, w, stride=stride, padding=padding, groups=groups, out=out)
        return
    compiled = tiled(tile, w.shape[:2], stride, 1, False, out.dtype.type)
    _launch(compiled, tile, x, w, out, groups, padding[0], padding[2])


@kernel("conv2d_input", "numba_cuda", device="cuda", requires=missing)
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int, out: Array
) -> None:
    tile = tile_for(w.shape[2], w.shape[:2], 1, dy.itemsize)
    if tile is None:
        naive.conv2d_input(dy, w, shape=shape, stride=stride, padding=padding, groups=groups, out=out)
        return
    compiled = tiled(tile, w.shape[:2], 1, stride, True, out.dtype.type)
    _launch(compiled, tile, dy, w, out, groups, w.shape[0] - 1 - padding[0], w.shape[1] - 1 - padding[2])


def _launch(compiled: Any, tile: Tile, x: Array, w: Array, y: Array, groups: int, top: int, left: int) -> None:
    n, high, wide, filters = y.shape
    ins, outs = x.shape[3] // groups, filters // groups
    grid = n * blocks_for(high, tile.rows) * blocks_for(wide, tile.columns), groups * blocks_for(outs, tile.filters)
    flat = (a.reshape(-1) for a in (x, w, y))
    launch(compiled, grid, tile.threads, *flat, *x.shape[1:3], high, wide, groups, ins, outs, top, left)
