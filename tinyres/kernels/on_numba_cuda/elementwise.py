"""ReLU on a GPU, forward and backward: the first kernels to read.

    relu: y = max(x, 0)        relu_gradient: dx = dy where y > 0, else 0

A kernel is what one thread does. In `positive` every value has a thread of its own, so there are as many blocks as it
takes to cover the values, and the last block has some threads too many. In `passed` the grid has a size of its own,
and each thread goes through the values in steps of the whole grid (a grid-stride loop): so one launch serves any
number of values, and neighbouring threads still touch neighbouring values at the same time.

The arrays are flat here: where a value stands does not matter. Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from tinyres.kernels.on_numba_cuda import missing
from tinyres.kernels.on_numba_cuda.device import THREADS, blocks_for, launch, simulated
from tinyres.kernels.registry import kernel

Array = Any
BLOCKS = 2 if simulated() else 1024  # as many as fill a large card


@cuda.jit  # type: ignore[untyped-decorator]
def positive(x: Array, y: Array) -> None:
    """A value of y."""
    # BEGIN SOLUTION gpu.relu
    # STEP which value is this thread's? its number in the whole grid; the threads beyond the last value do nothing
    # STEP write zero where x is below zero, else x; so a NaN stays a NaN
    number = cuda.grid(1)
    if number < y.size:
        value = x[number]
        y[number] = y.dtype.type(0) if value < 0 else value
    # END SOLUTION


@cuda.jit  # type: ignore[untyped-decorator]
def passed(dy: Array, y: Array, dx: Array) -> None:
    """Some values of dx, each a grid's size after the one before."""
    # BEGIN SOLUTION gpu.relu_gradient
    # STEP begin with the value of this thread's number; go on in steps of the number of threads in the whole grid
    # STEP as long as there are values
    for number in range(cuda.grid(1), dx.size, cuda.gridsize(1)):
        dx[number] = dy[number] if y[number] > 0 else dx.dtype.type(0)
    # END SOLUTION


@kernel("relu", "numba_cuda", device="cuda", requires=missing)
def relu(x: Array, *, out: Array) -> None:
    # BEGIN SOLUTION gpu.relu
    # STEP launch(kernel, blocks, THREADS, its arguments ...): enough blocks of THREADS threads for all values
    # STEP hand over the arrays flat: x.reshape(-1)
    launch(positive, blocks_for(out.size), THREADS, x.reshape(-1), out.reshape(-1))
    # END SOLUTION


@kernel("relu_gradient", "numba_cuda", device="cuda", requires=missing)
def relu_gradient(dy: Array, y: Array, *, out: Array) -> None:
    launch(passed, BLOCKS, THREADS, dy.reshape(-1), y.reshape(-1), out.reshape(-1))
