"""Three convolutions that tinyres does not have, each a few lines around your own `conv2d`.

Dilated filters see far with few weights; a circular border is right for panoramas and periodic fields; channels first
is how PyTorch keeps images and filters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.columns import positions
from tinyres.kernels.on_numpy.conv import conv2d

Array = Any
Padding = tuple[int, int, int, int]


def convolve(x: Array, w: Array, stride: int, padding: Padding) -> Array:
    """Your `conv2d`, with an array for its result: [N,H,W,C], [R,S,C,F] -> [N,I,J,F]."""
    size = positions(x.shape[1:3], w.shape[:2], stride, padding)
    out = np.empty((len(x), *size, w.shape[3]), x.dtype)
    conv2d(x, w, stride=stride, padding=padding, groups=1, out=out)
    return out


def conv2d_dilated(x: Array, w: Array, *, stride: int, padding: Padding, dilation: int) -> Array:
    """Convolve with filters whose taps are `dilation` pixels apart.

        y[n,i,j,f] = sum over r, s, c of
                     x[n, i*stride + r*dilation - top, j*stride + s*dilation - left, c] * w[r,s,c,f]

    Parameters
    ----------
    x : array, shape [N, H, W, C]
    w : array, shape [R, S, C, F]
    stride : int
    padding : (top, bottom, left, right)
    dilation : int
        1 is the ordinary convolution.

    Returns
    -------
    array, shape [N, I, J, F]
        I = (H + top + bottom - (R-1)*dilation - 1) // stride + 1, and J likewise.
    """
    # BEGIN SOLUTION conv.dilated
    # STEP larger filters, whose new taps between the old ones are zero
    # STEP an ordinary convolution with those
    r, s, c, f = w.shape
    holes = np.zeros(((r - 1) * dilation + 1, (s - 1) * dilation + 1, c, f), w.dtype)
    holes[::dilation, ::dilation] = w
    return convolve(x, holes, stride, padding)
    # END SOLUTION


def conv2d_circular(x: Array, w: Array, *, stride: int, padding: Padding) -> Array:
    """Convolve images that go on at the other side: above the first row is the last, left of the first column the last.

    Parameters
    ----------
    x : array, shape [N, H, W, C]
    w : array, shape [R, S, C, F]
    stride : int
    padding : (top, bottom, left, right)
        How many rows and columns of the other side are put around each image; it may be more than it has.

    Returns
    -------
    array, shape [N, I, J, F]
        I = (H + top + bottom - R) // stride + 1, and J likewise.
    """
    # BEGIN SOLUTION conv.circular
    # STEP which rows of x, from -top to H + bottom - 1, modulo H; which columns
    # STEP an ordinary convolution of x with those rows and columns, without padding
    top, bottom, left, right = padding
    rows = np.arange(-top, x.shape[1] + bottom) % x.shape[1]
    cols = np.arange(-left, x.shape[2] + right) % x.shape[2]
    return convolve(x[:, rows][:, :, cols], w, stride, (0, 0, 0, 0))
    # END SOLUTION


def conv2d_channels_first(x: Array, w: Array, *, stride: int, padding: Padding) -> Array:
    """Convolve images and filters in the order of axes that PyTorch has.

    Parameters
    ----------
    x : array, shape [N, C, H, W]
    w : array, shape [F, C, R, S]
    stride : int
    padding : (top, bottom, left, right)

    Returns
    -------
    array, shape [N, F, I, J]
        I = (H + top + bottom - R) // stride + 1, and J likewise.
    """
    # BEGIN SOLUTION conv.channels_first
    # STEP x and w with their axes in our order: moved, which is something else than reshaped
    # STEP the convolution, and its axes moved back
    y = convolve(x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), stride, padding)
    return y.transpose(0, 3, 1, 2)
    # END SOLUTION
