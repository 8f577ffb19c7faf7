"""Option B of the paper's shortcuts: a 1x1 convolution, applied to every stride-th pixel.

    y[n, i, j, f] = sum over c of  x[n, i*stride, j*stride, c] * w[c, f]

A filter of 1x1 looks at one pixel at a time, so the convolution is one product of matrices. (In the paper batch norm
follows; that is another op.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def project(x: Array, w: Array, *, stride: int, out: Array) -> None:
    """[N,H,W,C], [C,F] -> [N,I,J,F], where I and J are H/stride and W/stride, rounded up."""
    # BEGIN SOLUTION project.forward
    # STEP take the pixels, then multiply: `a @ b` works on the last axis of a and the first of b
    np.matmul(x[:, ::stride, ::stride], w, out=out)
    # END SOLUTION


def project_gradient(dy: Array, x: Array, w: Array, *, stride: int, out: tuple[Array, Array]) -> None:
    """Gradients of x and w from that of y: [N,I,J,F], [N,H,W,C], [C,F] -> [N,H,W,C], [C,F]."""
    dx, dw = out
    # BEGIN SOLUTION project.gradient
    # STEP dx: 0 for the pixels that were left out, for the others the product turned round
    # STEP dw: one sum over all pixels that were taken, of all images
    taken = x[:, ::stride, ::stride]
    dx[...] = 0
    dx[:, ::stride, ::stride] = dy @ w.T
    dw[...] = taken.reshape(-1, len(w)).T @ dy.reshape(-1, w.shape[1])
    # END SOLUTION
