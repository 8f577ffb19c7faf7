# task: conv.input
# way: for every position, its window of the padded image gets its share
# slip: the window of position (i, j) is put at row i and column j instead of i * stride and j * stride
# right: h, q = i * stride, j * stride
# wrong: h, q = i, j

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    top, bottom, left, right = padding
    for images, channels, filters in parts(dy, w.shape, shape[1:3], groups):
        error, these = dy[images, ..., filters], w[..., filters]
        padded = np.zeros((len(error), shape[1] + top + bottom, shape[2] + left + right, w.shape[2]), dy.dtype)
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                h, q = i, j
                padded[:, h : h + w.shape[0], q : q + w.shape[1]] += np.tensordot(error[:, i, j], these, axes=(1, 3))
        out[images, ..., channels] = padded[:, top : top + shape[1], left : left + shape[2]]
