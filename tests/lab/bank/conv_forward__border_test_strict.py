# task: conv.forward
# way: a loop over positions and taps that asks whether the pixel lies inside
# slip: the test for the inside says 0 < h and 0 < q, so the first row and column of every image are never used
# right: 0 <= h < x.shape[1] and 0 <= q < x.shape[2]
# wrong: 0 < h < x.shape[1] and 0 < q < x.shape[2]

import itertools

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    high, wide = out.shape[1:3]
    for images, channels, filters in parts(x, w.shape, (high, wide), groups):
        some, these = x[images, ..., channels], w[..., filters]
        y = np.zeros((len(some), high, wide, these.shape[3]), out.dtype)
        for i, j, r, s in itertools.product(range(high), range(wide), range(w.shape[0]), range(w.shape[1])):
            h, q = i * stride + r - padding[0], j * stride + s - padding[2]
            if 0 < h < x.shape[1] and 0 < q < x.shape[2]:
                y[:, i, j] += some[:, h, q] @ these[r, s]
        out[images, ..., filters] = y
