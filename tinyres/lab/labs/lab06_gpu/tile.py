"""A filter over an image on a GPU, tiled: what the threads of a block all need is read once, into shared memory.

    y[i,j] = sum over r, s of  x[i + r - top, j + s - left] * w[r,s]        x outside the image is zero

With one thread for each pixel and no more, a 3x3 filter reads nearly every pixel of x nine times from the GPU's memory,
and that is slow. But the ROWS x COLUMNS pixels of a block need only a tile of HIGH x WIDE = (ROWS + R - 1) x
(COLUMNS + S - 1) pixels of x: their own, and a border as wide as the window reaches beyond them. So the threads copy
the tile together into memory that they share (fast, and near to them), wait for each other, and then read it there.

    tile[p,q] is x[i0 + p - top, j0 + q - left], if the first pixel of the block is y[i0,j0]

There are more values in the tile than threads in the block, so thread t copies values t, t + THREADS, t + 2 * THREADS
... of the tile, counted row by row. Sizes in capitals are constants when the kernel is compiled: shared memory has to
be declared with a size that is known then, which is why there is one kernel for each window. Not yet run on a GPU.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda

from tinyres.kernels.on_numba_cuda.device import blocks_for, launch, simulated

Array = Any
ROWS, COLUMNS = (3, 4) if simulated() else (8, 32)  # pixels of a block, and its threads


@functools.cache
def tiled(R: int, S: int, real: Any) -> Any:
    """The kernel for windows of R x S; `real` is the type of the values."""
    HIGH, WIDE, THREADS = ROWS + R - 1, COLUMNS + S - 1, ROWS * COLUMNS

    @cuda.jit
    def one_pixel(x, w, top, left, y):  # type: ignore[no-untyped-def]
        tile = cuda.shared.array((HIGH, WIDE), real)
        row, column = cuda.threadIdx.y, cuda.threadIdx.x
        i0, j0 = cuda.blockIdx.y * ROWS, cuda.blockIdx.x * COLUMNS
        # BEGIN SOLUTION gpu.tile
        # STEP copy together: thread t = row * COLUMNS + column takes values t, t + THREADS, ... of the HIGH * WIDE in
        # STEP the tile; value v stands at tile[v // WIDE, v % WIDE]; what lies outside x is zero
        # STEP meet at a barrier: all threads, also those whose pixel lies outside y
        # STEP add up this thread's pixel out of the tile, and write it if it lies inside y
        for v in range(row * COLUMNS + column, HIGH * WIDE, THREADS):
            p, q = v // WIDE, v % WIDE
            h, k = i0 + p - top, j0 + q - left
            tile[p, q] = x[h, k] if 0 <= h < x.shape[0] and 0 <= k < x.shape[1] else real(0)
        cuda.syncthreads()
        total = real(0)
        for r in range(R):
            for s in range(S):
                total += tile[row + r, column + s] * w[r, s]
        if i0 + row < y.shape[0] and j0 + column < y.shape[1]:
            y[i0 + row, j0 + column] = total
        # END SOLUTION

    return one_pixel


def filtered(x: Array, w: Array, *, padding: tuple[int, ...], out: Array) -> None:
    """Filter an image: x [H,W], w [R,S], padding (top, bottom, left, right); out [H+top+bottom-R+1, W+left+right-S+1].

    Blocks and their threads lie in two dimensions here: x counts columns and y counts rows.
    """
    kernel = tiled(*w.shape, out.dtype.type)
    grid = blocks_for(out.shape[1], COLUMNS), blocks_for(out.shape[0], ROWS)
    launch(kernel, grid, (COLUMNS, ROWS), x, w, padding[0], padding[2], out)
