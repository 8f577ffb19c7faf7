# task: conv.input
# way: for every pixel, the positions whose window covers it
# slip: a pixel between two positions of the stride is not left out: the quotient is rounded down and used
# right: if below % stride == right % stride == 0 and 0 <= i < dy.shape[1] and 0 <= j < dy.shape[2]:
# wrong: if 0 <= i < dy.shape[1] and 0 <= j < dy.shape[2]:

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    out[...] = 0
    for images, channels, filters in parts(dy, w.shape, shape[1:3], groups):
        for h, q, r, s in np.ndindex(*shape[1:3], *w.shape[:2]):
            below, right = h + padding[0] - r, q + padding[2] - s
            i, j = below // stride, right // stride
            if 0 <= i < dy.shape[1] and 0 <= j < dy.shape[2]:
                out[images, h, q, channels] += dy[images, i, j, filters] @ w[r, s, :, filters].T
