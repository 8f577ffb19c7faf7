# task: conv.weight
# way: sliding windows, tensordot over images and positions
# slip: the product has axes (c, r, s, f) and is reshaped to (r, s, c, f) instead of its axes being moved
# right: dw.transpose(1, 2, 0, 3)
# wrong: dw.reshape(*shape[:3], -1)

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    out[...] = 0
    for images, channels, filters in parts(x, shape, dy.shape[1:3], groups):
        padded = np.pad(x[images, ..., channels], ((0, 0), padding[:2], padding[2:], (0, 0)))
        windows = sliding_window_view(padded, shape[:2], axis=(1, 2))[:, ::stride, ::stride]
        dw = np.tensordot(windows, dy[images, ..., filters], axes=((0, 1, 2), (0, 1, 2)))
        out[..., filters] += dw.reshape(*shape[:3], -1)
