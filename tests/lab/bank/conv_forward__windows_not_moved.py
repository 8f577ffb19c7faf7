# task: conv.forward
# way: sliding windows, then one matrix product
# slip: the windows come as (c, r, s) and are flattened so, while the filters are flattened as (r, s, c)
# right: windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
# wrong: windows[:, ::stride, ::stride]

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    top, bottom, left, right = padding
    for images, channels, filters in parts(x, w.shape, out.shape[1:3], groups):
        padded = np.pad(x[images, ..., channels], ((0, 0), (top, bottom), (left, right), (0, 0)))
        windows = sliding_window_view(padded, w.shape[:2], axis=(1, 2))
        windows = windows[:, ::stride, ::stride]
        matrix = w[..., filters].reshape(-1, w[..., filters].shape[-1])
        rows = windows.reshape(-1, len(matrix))
        out[images, ..., filters] = (rows @ matrix).reshape(out[images, ..., filters].shape)
