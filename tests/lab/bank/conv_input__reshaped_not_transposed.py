# task: conv.input
# way: columns of dx by one product, scattered by bincount over flat indices
# slip: the matrix of the filters is reshaped to [F, R*S*C], which is not the transpose of [R*S*C, F]
# right: w[..., filters].reshape(-1, count).T
# wrong: w[..., filters].reshape(count, -1)

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    (high, wide), (taps_r, taps_s, depth) = dy.shape[1:3], w.shape[:3]
    tall, broad = shape[1] + padding[0] + padding[1], shape[2] + padding[2] + padding[3]
    for images, channels, filters in parts(dy, w.shape, shape[1:3], groups):
        error = dy[images, ..., filters]
        count = error.shape[-1]
        columns = error.reshape(-1, count) @ w[..., filters].reshape(count, -1)
        n, i, j, r, s, c = np.ogrid[: len(error), :high, :wide, :taps_r, :taps_s, :depth]
        places = ((n * tall + i * stride + r) * broad + j * stride + s) * depth + c
        flat = np.bincount(places.ravel(), columns.ravel(), minlength=len(error) * tall * broad * depth)
        image = flat.reshape(len(error), tall, broad, depth)
        out[images, ..., channels] = image[:, padding[0] :, padding[2] :][:, : shape[1], : shape[2]]
