"""The sum of an array on a GPU: threads of a block share memory, and wait for each other.

    total = sum over all values of x

A block takes LANES values, one a thread, and adds them up in a tree. With 8 of them:

    lanes     a        b        c    d    e  f  g  h
    half = 4  a+e      b+f      c+g  d+h  .  .  .  .     threads 0 to 3 add
    half = 2  a+e+c+g  b+f+d+h  .    .    .  .  .  .     threads 0 and 1 add
    half = 1  the sum of all                             thread 0 adds

Three steps in place of seven. Each reads what other threads wrote in the step before, and the threads of a block run
in no particular order; so before each step all of them meet at a barrier, `cuda.syncthreads()`: none goes on before
the last one has come. (Every thread has to come to it, also one that has nothing to add.)

Blocks cannot wait for each other. So each leaves its sum in memory, and the next launch adds up the sums, until one is
left: launches of one stream run in their order. Nothing is added in the order in which threads happen to come, so the
result is the same bits each time. Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from tinyres.kernels.on_numba_cuda.device import blocks_for, empty, launch, simulated

Array = Any
LANES = 8 if simulated() else 256  # threads of a block, and values that it adds; a power of two


@cuda.jit  # type: ignore[untyped-decorator]
def block_sums(x: Array, sums: Array) -> None:
    """The sum of the values of this block, to its place in `sums`."""
    lanes = cuda.shared.array(LANES, np.float64)
    # BEGIN SOLUTION gpu.total
    # STEP each thread puts its value of x into its place in lanes; zero, if there is no such value
    # STEP for half = LANES // 2, then half of that ... down to 1: meet at a barrier; then the first `half` threads add
    # STEP thread 0 writes the sum into sums, at the number of this block
    t, number = cuda.threadIdx.x, cuda.grid(1)
    lanes[t] = x[number] if number < x.size else 0.0
    half = LANES // 2
    while half > 0:
        cuda.syncthreads()
        if t < half:
            lanes[t] += lanes[t + half]
        half //= 2
    if t == 0:
        sums[cuda.blockIdx.x] = lanes[0]
    # END SOLUTION


def total(x: Array, *, out: Array) -> None:
    """Write the sum of x, of any shape, into out [1]."""
    # BEGIN SOLUTION gpu.total
    # STEP while x has more values than one block takes: a launch that leaves a sum for each block in new memory,
    # STEP empty(count, np.float64); these sums are the x of the next round
    # STEP at last one block adds up what is left, and writes it into out
    x = x.reshape(-1)
    while x.size > LANES:
        sums = empty(blocks_for(x.size, LANES), np.float64)
        launch(block_sums, sums.size, LANES, x, sums)
        x = sums
    launch(block_sums, 1, LANES, x, out)
    # END SOLUTION
