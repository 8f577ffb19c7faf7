"""The gradient of a convolution for its filters on a GPU, tiled.

    dw[r,s,c,f] = sum over n, i, j of  x[n, i*stride + r - top, j*stride + s - left, c] * dy[n,i,j,f]

Few values, each a sum over all pixels of the batch: 2,304 of them, of 131,072 products each, in the first layers of
ResNet-20 at batch 128. So the pixels are divided among blocks. A block goes through its tiles of pixels one after the
other; of each, its threads copy the input, with its border, and dy into shared memory, x as [c][row][column] and dy as
[i][j][f], and add up in registers: a thread all taps of one row of the window, for some channels and filters. What a
block has is a row of a buffer, and a second kernel adds the rows in order (`sums.py`). How many blocks there are
follows from the shapes alone, so the bits of a result do not depend on the card.

Windows too large for shared memory go to `naive.py`. Not yet run on a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda

from tinyres.kernels.on_numba_cuda import missing, naive
from tinyres.kernels.on_numba_cuda.conv import place
from tinyres.kernels.on_numba_cuda.device import blocks_for, empty, launch, simulated
from tinyres.kernels.on_numba_cuda.sums import add_rows
from tinyres.kernels.on_numba_cuda.tiles import WeightTile, plane, weight_tile_for
from tinyres.kernels.registry import kernel

Array = Any
BLOCKS = 512  # as many as fill a large card; more would only leave more rows to add


@functools.cache
def tiled(tile: WeightTile, window: tuple[int, ...], stride: int, real: Any) -> Any:
    """The kernel for one geometry. Its arrays are flat: x [N, H, W, groups * ins], dy [N, I, J, groups * outs], and
    rows, one a block of pixels: [R, S, ins, groups * outs].
    """
    R, S = window
    ROWS, COLUMNS, CHANNELS, FILTERS, EACH_C, EACH_F, PIXELS = vars(tile).values()
    HIGH, WIDE = (ROWS - 1) * stride + R, (COLUMNS - 1) * stride + S  # the input of a tile, with its border
    PLANE, THREADS = plane(ROWS, COLUMNS, window, stride), tile.threads(window)
    LANES_C, LANES_F = CHANNELS // EACH_C, FILTERS // EACH_F
    INPUT, GRADIENT, SUMS = CHANNELS * PLANE, ROWS * COLUMNS * FILTERS, EACH_C * S * EACH_F
    REACH = (PIXELS - 1) * stride + S  # the input of a few pixels side by side
    RUN = EACH_C * REACH

    @cuda.jit
    def weight(x, dy, rows, H, W, I, J, groups, ins, outs, top, left, tiles, each):  # type: ignore[no-untyped-def]
        xs = cuda.shared.array(INPUT, real)
        ds = cuda.shared.array(GRADIENT, real)
        sums = cuda.local.array(SUMS, real)
        run = cuda.local.array(RUN, real)
        t, b, parts = cuda.threadIdx.x, cuda.blockIdx.y, (outs + FILTERS - 1) // FILTERS
        f0, c0 = b % parts * FILTERS, b // parts % ((ins + CHANNELS - 1) // CHANNELS) * CHANNELS
        group = b // (parts * ((ins + CHANNELS - 1) // CHANNELS))
        lane_f, lane_c, r = t % LANES_F, t // LANES_F % LANES_C, t // (LANES_F * LANES_C)
        high, wide = (I + ROWS - 1) // ROWS, (J + COLUMNS - 1) // COLUMNS
        c, f = t % CHANNELS, t % FILTERS  # what this thread copies: neighbours read neighbouring values
        for k in range(SUMS):
            sums[k] = real(0)
        for u in range(cuda.blockIdx.x * each, min((cuda.blockIdx.x + 1) * each, tiles)):
            n, i0, j0 = u // (high * wide), u // wide % high * ROWS, u % wide * COLUMNS
            cuda.syncthreads()  # nobody needs the tile before any longer
            for p in range(HIGH):
                h = i0 * stride + p - top
                for k in range((WIDE * CHANNELS + THREADS - 1) // THREADS):
                    q = k * (THREADS // CHANNELS) + t // CHANNELS
                    if q < WIDE:
                        value, v = real(0), j0 * stride + q - left
                        if c0 + c < ins and 0 <= h < H and 0 <= v < W:
                            value = x[place((((n * H + h) * W + v) * groups + group) * ins + c0 + c)]
                        xs[place(c * PLANE + p * WIDE + q)] = value
            for p in range(ROWS):
                for k in range((COLUMNS * FILTERS + THREADS - 1) // THREADS):
                    q = k * (THREADS // FILTERS) + t // FILTERS
                    if q < COLUMNS:
                        value = real(0)
                        if f0 + f < outs and i0 + p < I and j0 + q < J:
                            value = dy[place((((n * I + i0 + p) * J + j0 + q) * groups + group) * outs + f0 + f)]
                        ds[place((p * COLUMNS + q) * FILTERS + f)] = value
            cuda.syncthreads()  # all of it is there
            for i in range(ROWS):
                for j in range(0, COLUMNS, PIXELS):
                    for a in range(EACH_C):
                        first = (a * LANES_C + lane_c) * PLANE + (i * stride + r) * WIDE + j * stride
                        for k in range(REACH):
                            run[a * REACH + k] = xs[place(first + k)]
                    for p in range(PIXELS):
                        for k in range(EACH_F):
                            error = ds[place((i * COLUMNS + j + p) * FILTERS + k * LANES_F + lane_f)]
                            for a in range(EACH_C):
                                for s in range(S):
                                    sums[(a * S + s) * EACH_F + k] += run[a * REACH + p * stride + s] * error
        for a in range(EACH_C):
            for k in range(EACH_F):
                c, f = c0 + a * LANES_C + lane_c, f0 + k * LANES_F + lane_f
                if c < ins and f < outs:
                    for s in range(S):
                        at = (((cuda.blockIdx.x * R + r) * S + s) * ins + c) * groups * outs + group * outs + f
                        rows[place(at)] = sums[(a * S + s) * EACH_F + k]

    return weight


@kernel("conv2d_weight", "numba_cuda", device="cuda", requires=missing)
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int, out: Array
) -> None:
    tile = weight_tile_for(shape[:2], stride, x.itemsize)
    if tile is None:
        naive.conv2d_weight(x, dy, shape=shape, stride=stride, padding=padding, groups=groups, out=out)
        return
    n, high, wide, filters = dy.shape
    ins, outs = shape[2], filters // groups
    tiles = n * blocks_for(high, tile.rows) * blocks_for(wide, tile.columns)
    beside = groups * blocks_for(ins, tile.channels) * blocks_for(outs, tile.filters)
    each = max(1, tiles * beside // (4 if simulated() else BLOCKS))  # tiles of a block
    slices = max(1, blocks_for(tiles, each))
    rows = empty((slices, out.size), out.dtype)
    launch(
        tiled(tile, shape[:2], stride, out.dtype.type), (slices, beside), tile.threads(shape[:2]),
        x.reshape(-1), dy.reshape(-1), rows.reshape(-1), *x.shape[1:3], high, wide, groups, ins, outs,
        padding[0], padding[2], tiles, each,
    )  # fmt: skip
    add_rows(rows, out)
