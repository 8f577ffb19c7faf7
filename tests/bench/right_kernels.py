"""A person's file with two right kernels: the tests plant faults in its text."""

import threading  # noqa: F401 - for the faults
import time  # noqa: F401

import numpy as np

from tinyres.kernels import kernel


def slices(r, s, stride, rows, columns):
    return slice(r, r + stride * (rows - 1) + 1, stride), slice(s, s + stride * (columns - 1) + 1, stride)


def padded(x, padding):
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))


@kernel("conv2d", "mine")
def conv2d(x, w, *, stride, padding, groups, out):
    out[...] = 0
    xp, c, f = padded(x, padding), w.shape[2], w.shape[3] // groups
    for r, s in np.ndindex(w.shape[:2]):
        part = xp[:, *slices(r, s, stride, *out.shape[1:3])]
        for g in range(groups):
            to = slice(g * f, (g + 1) * f)
            out[..., to] += part[..., g * c : (g + 1) * c] @ w[r, s, :, to]
    # end of conv2d


@kernel("conv2d_weight", "mine")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    out[...] = 0
    xp, c, f = padded(x, padding), shape[2], shape[3] // groups
    for r, s in np.ndindex(shape[:2]):
        part = xp[:, *slices(r, s, stride, *dy.shape[1:3])]
        for g in range(groups):
            to = slice(g * f, (g + 1) * f)
            out[r, s, :, to] += np.tensordot(part[..., g * c : (g + 1) * c], dy[..., to], ((0, 1, 2),) * 2)
    # end of conv2d_weight
