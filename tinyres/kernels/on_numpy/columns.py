"""im2col: every window of every image becomes the row of a matrix, so that a convolution is a matrix product.

    columns[(n,i,j), (r,s,c)] = x[n, i*stride + r - top, j*stride + s - left, c]        zero outside the image

Row (n,i,j) is the window at position (i,j) of image n; column (r,s,c) is what tap (r,s) of a filter meets in channel c.
Channels last makes a row R runs of S*C adjacent numbers. Source of the method: Chellapilla, Puri, Simard, "High
performance convolutional neural networks for document processing", 2006.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = Any


def positions(size: tuple[int, ...], window: tuple[int, ...], stride: int, padding: tuple[int, ...]) -> tuple[int, int]:
    """Where a window fits into an image of `size` (H, W): so many rows I and columns J of positions."""
    rows = size[0] + padding[0] + padding[1] - window[0]
    columns = size[1] + padding[2] + padding[3] - window[1]
    return rows // stride + 1, columns // stride + 1


def pad(x: Array, padding: tuple[int, ...]) -> Array:
    """Surround images with zeros; where a number is negative, cut rows or columns off instead.

    Parameters
    ----------
    x : array, shape [N, H, W, C]
    padding : (top, bottom, left, right)

    Returns
    -------
    array, shape [N, top + H + bottom, left + W + right, C]
        Of the type of `x`. Nothing need be copied where there is nothing to add.
    """
    # BEGIN SOLUTION conv.pad
    # STEP an array of zeros for the images and what is added (a negative number adds nothing); the images go inside
    # STEP a slice of it that leaves out as many rows and columns as the negative numbers say
    if not any(padding):
        return x
    top, bottom, left, right = padding
    n, h, w, c = x.shape
    above, before = max(0, top), max(0, left)
    canvas = np.zeros((n, above + h + max(0, bottom), before + w + max(0, right), c), x.dtype)
    canvas[:, above : above + h, before : before + w] = x
    if min(padding) < 0:
        canvas = canvas[:, above - top :, before - left :][:, : h + top + bottom, : w + left + right]
    return canvas
    # END SOLUTION


def im2col(x: Array, window: tuple[int, ...], stride: int, padding: tuple[int, ...]) -> Array:
    """Make a matrix of all windows of all images.

    Parameters
    ----------
    x : array, shape [N, H, W, C]
    window : (R, S)
    stride : int
        From one window to the next, in both directions.
    padding : (top, bottom, left, right)
        Zeros around each image; negative numbers as in `pad`.

    Returns
    -------
    array, shape [N * I * J, R * S * C]
        Row (n*I + i)*J + j is the window at position (i, j) of image n, its numbers in the order r, s, c.
    """
    # BEGIN SOLUTION conv.im2col
    # STEP the padded images, and how many positions (I, J) a window has in them
    # STEP all windows side by side, [N, I, J, R, S, C]: a view by strides, or an array filled tap by tap
    # STEP the same numbers as a matrix
    i, j = positions(x.shape[1:3], window, stride, padding)
    (r, s), padded = window, pad(x, padding)
    n, _, _, c = padded.shape
    sn, sh, sw, sc = padded.strides
    windows = as_strided(padded, (n, i, j, r, s, c), (sn, sh * stride, sw * stride, sh, sw, sc), writeable=False)
    return np.ascontiguousarray(windows).reshape(n * i * j, r * s * c)
    # END SOLUTION
