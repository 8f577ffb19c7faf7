"""Convolution on a GPU as it is written down: one thread for each value of the result. To be read first.

    y[n,i,j,f]  = sum over r, s, c     of x[n, i*stride + r - top, j*stride + s - left, c] * w[r,s,c,f]
    dx[n,h,k,c] = sum over r, s, f     of dy[n,i,j,f] * w[r,s,c,f],  i*stride + r - top = h,  j*stride + s - left = k
    dw[r,s,c,f] = sum over n, i, j     of x[n, i*stride + r - top, j*stride + s - left, c] * dy[n,i,j,f]

A kernel is what one thread does. `cuda.grid(1)` is the thread's number, and that says which value is its own; there are
a few threads more than values, and those return. Neighbours in number are neighbours in the last axis, so their reads
fall together. Every thread reads all that it needs from the GPU's memory, and the next one reads nearly the same again:
that is what `conv.py` mends. The gradient of the filters has few values and long sums, so most of the GPU is idle then.
Any shape, stride, padding and number of groups; float32 and float64. Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from tinyres.kernels.on_numba_cuda import missing
from tinyres.kernels.on_numba_cuda.device import THREADS, blocks_for, launch
from tinyres.kernels.registry import kernel

Array = Any


@cuda.jit(device=True, inline="always")  # type: ignore[untyped-decorator]
def place(number: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The indices of value `number` of an array of four axes."""
    rest, d = divmod(number, shape[3])
    rest, c = divmod(rest, shape[2])
    a, b = divmod(rest, shape[1])
    return a, b, c, d


@cuda.jit(device=True, inline="always")  # type: ignore[untyped-decorator]
def first_seen(f: int, filters: int, channels: int, each: int) -> int:
    """The first channel that filter f sees, where the filters of a group see `each` of the `channels`."""
    return f // (filters // (channels // each)) * each


@cuda.jit  # type: ignore[untyped-decorator]
def one_output(x: Array, w: Array, stride: int, top: int, left: int, y: Array) -> None:
    """A value of y."""
    # BEGIN SOLUTION gpu.forward
    # STEP the number of this thread: return if it is beyond the last value of y, else find its n, i, j, f by `place`
    # STEP the first channel that filter f sees, by `first_seen` (0 where there is one group)
    # STEP add up over the window; what lies outside x is padding, and adds nothing
    # STEP write the sum once, at the end
    number = cuda.grid(1)
    if number >= y.size:
        return
    n, i, j, f = place(number, y.shape)
    first = first_seen(f, y.shape[3], x.shape[3], w.shape[2])
    total = y.dtype.type(0)
    for r in range(w.shape[0]):
        for s in range(w.shape[1]):
            h, k = i * stride + r - top, j * stride + s - left
            if 0 <= h < x.shape[1] and 0 <= k < x.shape[2]:  # padding is zeros, which add nothing
                for c in range(w.shape[2]):
                    total += x[n, h, k, first + c] * w[r, s, c, f]
    y[n, i, j, f] = total
    # END SOLUTION


@cuda.jit  # type: ignore[untyped-decorator]
def one_input(dy: Array, w: Array, stride: int, top: int, left: int, dx: Array) -> None:
    """A value of dx."""
    # BEGIN SOLUTION gpu.input
    # STEP the indices n, h, k, c of the value of dx that is this thread's
    # STEP which output i, j used it at tap r, s? i*stride = h - r + top: one, if that divides and there is such an i
    # STEP add up over the filters that see channel c: dy.shape[3] // groups of them, and there are
    # STEP dx.shape[3] // w.shape[2] groups; in w, c counts from the first channel of its group
    number = cuda.grid(1)
    if number >= dx.size:
        return
    n, h, k, c = place(number, dx.shape)
    filters = dy.shape[3] // (dx.shape[3] // w.shape[2])  # of a group
    first = c // w.shape[2] * filters
    total = dx.dtype.type(0)
    for r in range(w.shape[0]):
        for s in range(w.shape[1]):
            i, beside = divmod(h - r + top, stride)
            j, below = divmod(k - s + left, stride)
            if beside == 0 and below == 0 and 0 <= i < dy.shape[1] and 0 <= j < dy.shape[2]:  # this tap met this pixel
                for f in range(first, first + filters):
                    total += dy[n, i, j, f] * w[r, s, c % w.shape[2], f]
    dx[n, h, k, c] = total
    # END SOLUTION


@cuda.jit  # type: ignore[untyped-decorator]
def one_weight(x: Array, dy: Array, stride: int, top: int, left: int, dw: Array) -> None:
    """A value of dw."""
    # BEGIN SOLUTION gpu.weight
    # STEP the indices r, s, c, f of the value of dw that is this thread's; c counts from the first channel f sees
    # STEP add up over all images and all pixels of dy; where the window reached into the padding there is nothing
    number = cuda.grid(1)
    if number >= dw.size:
        return
    r, s, c, f = place(number, dw.shape)
    c += first_seen(f, dw.shape[3], x.shape[3], dw.shape[2])
    total = dw.dtype.type(0)
    for n in range(x.shape[0]):
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                h, k = i * stride + r - top, j * stride + s - left
                if 0 <= h < x.shape[1] and 0 <= k < x.shape[2]:
                    total += x[n, h, k, c] * dy[n, i, j, f]
    dw[r, s, c % dw.shape[2], f] = total
    # END SOLUTION


@kernel("conv2d", "numba_cuda.naive", device="cuda", requires=missing)
def conv2d(x: Array, w: Array, *, stride: int, padding: tuple[int, ...], groups: int, out: Array) -> None:
    launch(one_output, blocks_for(out.size), THREADS, x, w, stride, padding[0], padding[2], out)


@kernel("conv2d_input", "numba_cuda.naive", device="cuda", requires=missing)
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int, out: Array
) -> None:
    launch(one_input, blocks_for(out.size), THREADS, dy, w, stride, padding[0], padding[2], out)


@kernel("conv2d_weight", "numba_cuda.naive", device="cuda", requires=missing)
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int, out: Array
) -> None:
    launch(one_weight, blocks_for(out.size), THREADS, x, dy, stride, padding[0], padding[2], out)
