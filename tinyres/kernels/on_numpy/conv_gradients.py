"""The two gradients of a convolution: matrix products of columns again.

    dw = columns(x)^T @ dy      what each tap met, times the error that it caused, summed over images and positions
    dx = columns(dz) @ w'       the transposed convolution: dz is dy with zeros between its rows and columns where
                                stride > 1 and zeros around it, w' the filters turned by 180 degrees, [R,S,F,C]

Why turned: y at position i sees x at i*stride + r - top through tap r. So x at h gets its error back through tap r from
position i = (h + top - r) / stride, where that is whole: with growing r, i falls. In dz, error i stands at
i*stride + R-1-top, and the window at h meets it with the tap R-1-r. Cost: 2*N*I*J*R*S*C*F operations for dw, and for
dx stride^2 times as many, since zeros are multiplied too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.columns import im2col
from tinyres.kernels.on_numpy.parts import parts, product
from tinyres.kernels.registry import kernel

Array = Any
Padding = tuple[int, int, int, int]


@kernel("conv2d_weight", "numpy")
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,H,W,C], [N,I,J,F] -> [R,S,C/groups,F], which is `shape`: a sum over the parts of the batch.

    Parts are as in the forward pass: images whose columns fit the cache, group by group.
    """
    out[...] = 0
    for images, channels, filters in parts(x, shape, dy.shape[1:3], groups):
        # BEGIN SOLUTION conv.weight
        # STEP the columns of x[images, ..., channels], the same as in the forward pass
        # STEP dy[images, ..., filters] as a matrix with a row for each of theirs
        # STEP the product that sums over those rows, in the shape of the filters, added to out[..., filters]
        errors = dy[images, ..., filters].reshape(-1, shape[3] // groups)
        sums = im2col(x[images, ..., channels], shape[:2], stride, padding).T @ errors
        out[..., filters] += sums.reshape(*shape[:3], -1)
        # END SOLUTION


def spread(dy: Array, stride: int) -> Array:
    """Put stride - 1 rows of zeros between rows, and columns between columns.

    Parameters
    ----------
    dy : array, shape [N, I, J, F]
    stride : int

    Returns
    -------
    array, shape [N, (I-1) * stride + 1, (J-1) * stride + 1, F]
        `dy` at every stride-th row and column, from the first to the last. `dy` itself where stride is 1.
    """
    # BEGIN SOLUTION conv.spread
    # STEP zeros of that shape, and dy at every stride-th of its rows and columns
    if stride == 1:
        return dy
    n, i, j, f = dy.shape
    zeros = np.zeros((n, (i - 1) * stride + 1, (j - 1) * stride + 1, f), dy.dtype)
    zeros[:, ::stride, ::stride] = dy
    return zeros
    # END SOLUTION


@kernel("conv2d_input", "numpy")
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array
) -> None:
    """[N,I,J,F], [R,S,C/groups,F] -> [N,H,W,C], which is `shape`: the transposed convolution."""
    for images, channels, filters in parts(dy, w.shape, shape[1:3], groups):
        # BEGIN SOLUTION conv.input
        # STEP dy[images, ..., filters] with zeros between its rows and columns
        # STEP zeros around that, so that error (i, j) stands at (i*stride + R-1-top, j*stride + S-1-left)
        # STEP     of H+R-1 rows and W+S-1 columns (negative padding cuts off): a window for each pixel of dx
        # STEP the filters w[..., filters], turned by 180 degrees in r and s, as a matrix [R*S*F, C]
        # STEP the columns of the one, at stride 1, times the other, into out[images, ..., channels]
        (r, s), (top, _, left, _) = w.shape[:2], padding
        errors = spread(dy[images, ..., filters], stride)
        above, before = r - 1 - top, s - 1 - left
        below = shape[1] + r - 1 - errors.shape[1] - above
        after = shape[2] + s - 1 - errors.shape[2] - before
        turned = w[::-1, ::-1, :, filters].swapaxes(2, 3).reshape(-1, w.shape[2])
        product(im2col(errors, (r, s), 1, (above, below, before, after)), turned, out[images, ..., channels])
        # END SOLUTION
