"""A convolution with gaps in its windows (dilation): the taps stand `dilation` pixels apart.

    y[n,i,j,f] = sum over r, s, c of  x[n, i*stride + r*dilation - top, j*stride + s*dilation - left, c] * w[r,s,c,f]

A window of R taps reaches over (R - 1) * dilation + 1 pixels: it sees more of the image at the same cost. There is one
thread for each value of y, as in `naive.py`, and no groups: each filter sees all channels. Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from tinyres.kernels.on_numba_cuda.device import THREADS, blocks_for, launch
from tinyres.kernels.on_numba_cuda.naive import place

Array = Any


@cuda.jit  # type: ignore[untyped-decorator]
def one_dilated(x: Array, w: Array, stride: int, top: int, left: int, dilation: int, y: Array) -> None:
    """A value of y."""
    # BEGIN SOLUTION gpu.dilated
    # STEP as in `one_output` of naive.py, which you have written; what is new is where a tap reads x
    number = cuda.grid(1)
    if number >= y.size:
        return
    n, i, j, f = place(number, y.shape)
    total = y.dtype.type(0)
    for r in range(w.shape[0]):
        for s in range(w.shape[1]):
            h, k = i * stride + r * dilation - top, j * stride + s * dilation - left
            if 0 <= h < x.shape[1] and 0 <= k < x.shape[2]:
                for c in range(w.shape[2]):
                    total += x[n, h, k, c] * w[r, s, c, f]
    y[n, i, j, f] = total
    # END SOLUTION


def dilated(x: Array, w: Array, *, stride: int, padding: tuple[int, ...], dilation: int, out: Array) -> None:
    """Convolve x [N,H,W,C] with w [R,S,C,F] whose taps stand `dilation` apart, into out [N,I,J,F].

    `padding` is (top, bottom, left, right); I = (H + top + bottom - (R-1)*dilation - 1) // stride + 1, J likewise.
    """
    launch(one_dilated, blocks_for(out.size), THREADS, x, w, stride, padding[0], padding[2], dilation, out)
