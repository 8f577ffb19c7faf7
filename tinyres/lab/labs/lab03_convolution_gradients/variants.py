"""The gradients of three convolutions that tinyres does not have, each a few lines around your own two.

What the forward pass does to the images or to the filters before it convolves, the way back undoes after it: it takes
out what was put in, and adds up what was used more than once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.conv_gradients import conv2d_input, conv2d_weight

Array = Any
Padding = tuple[int, int, int, int]
Shape = tuple[int, ...]


def input_gradient(dy: Array, w: Array, shape: Shape, stride: int, padding: Padding) -> Array:
    """Your `conv2d_input`, with an array of that `shape` [N,H,W,C] for its result."""
    out = np.empty(shape, dy.dtype)
    conv2d_input(dy, w, shape=shape, stride=stride, padding=padding, groups=1, out=out)
    return out


def weight_gradient(x: Array, dy: Array, shape: Shape, stride: int, padding: Padding) -> Array:
    """Your `conv2d_weight`, with an array of that `shape` [R,S,C,F] for its result."""
    out = np.empty(shape, x.dtype)
    conv2d_weight(x, dy, shape=shape, stride=stride, padding=padding, groups=1, out=out)
    return out


def conv2d_dilated_gradients(
    x: Array, w: Array, dy: Array, *, stride: int, padding: Padding, dilation: int
) -> tuple[Array, Array]:
    """Both gradients of a convolution whose taps are `dilation` pixels apart.

        y[n,i,j,f] = sum over r, s, c of
                     x[n, i*stride + r*dilation - top, j*stride + s*dilation - left, c] * w[r,s,c,f]

    Parameters
    ----------
    x : array, shape [N, H, W, C]
    w : array, shape [R, S, C, F]
    dy : array, shape [N, I, J, F]
    stride : int
    padding : (top, bottom, left, right)
    dilation : int
        1 is the ordinary convolution.

    Returns
    -------
    dx : array, shape [N, H, W, C]
    dw : array, shape [R, S, C, F]
    """
    # BEGIN SOLUTION grad.dilated
    # STEP the filters with holes, as in the forward pass: zeros between the taps
    # STEP dx by those
    # STEP the gradient of all their taps; dw has only those that are no holes
    r, s, c, f = w.shape
    holes = np.zeros(((r - 1) * dilation + 1, (s - 1) * dilation + 1, c, f), w.dtype)
    holes[::dilation, ::dilation] = w
    dx = input_gradient(dy, holes, x.shape, stride, padding)
    return dx, weight_gradient(x, dy, holes.shape, stride, padding)[::dilation, ::dilation]
    # END SOLUTION


def conv2d_circular_gradients(x: Array, w: Array, dy: Array, *, stride: int, padding: Padding) -> tuple[Array, Array]:
    """Both gradients of a convolution of images that go on at the other side.

    Parameters
    ----------
    x : array, shape [N, H, W, C]
    w : array, shape [R, S, C, F]
    dy : array, shape [N, I, J, F]
    stride : int
    padding : (top, bottom, left, right)
        How many rows and columns of the other side were put around each image; it may be more than it has.

    Returns
    -------
    dx : array, shape [N, H, W, C]
    dw : array, shape [R, S, C, F]
    """
    # BEGIN SOLUTION grad.circular
    # STEP the images with the other side around them, as in the forward pass; dw by those, without padding
    # STEP the gradient of those larger images
    # STEP each of their rows is one of x: add up those that are the same one; then columns likewise
    top, bottom, left, right = padding
    rows = np.arange(-top, x.shape[1] + bottom) % x.shape[1]
    cols = np.arange(-left, x.shape[2] + right) % x.shape[2]
    larger, none = x[:, rows][:, :, cols], (0, 0, 0, 0)
    dlarger = input_gradient(dy, w, larger.shape, stride, none)
    folded, dx = np.zeros_like(larger[:, : x.shape[1]]), np.zeros_like(x)
    for k, row in enumerate(rows):
        folded[:, row] += dlarger[:, k]
    for k, col in enumerate(cols):
        dx[:, :, col] += folded[:, :, k]
    return dx, weight_gradient(larger, dy, w.shape, stride, none)
    # END SOLUTION


def conv2d_channels_first_gradients(
    x: Array, w: Array, dy: Array, *, stride: int, padding: Padding
) -> tuple[Array, Array]:
    """Both gradients of a convolution in the order of axes that PyTorch has.

    Parameters
    ----------
    x : array, shape [N, C, H, W]
    w : array, shape [F, C, R, S]
    dy : array, shape [N, F, I, J]
    stride : int
    padding : (top, bottom, left, right)

    Returns
    -------
    dx : array, shape [N, C, H, W]
    dw : array, shape [F, C, R, S]
    """
    # BEGIN SOLUTION grad.channels_first
    # STEP x, w and dy with their axes in our order
    # STEP both gradients, each with its axes moved back
    x, dy = x.transpose(0, 2, 3, 1), dy.transpose(0, 2, 3, 1)
    w = w.transpose(2, 3, 1, 0)
    dx = input_gradient(dy, w, x.shape, stride, padding)
    dw = weight_gradient(x, dy, w.shape, stride, padding)
    return dx.transpose(0, 3, 1, 2), dw.transpose(3, 2, 0, 1)
    # END SOLUTION
