# task: conv.weight
# way: sliding windows, flattened, one product
# slip: the rows of the matrix of errors run down the columns of the image, those of the windows along its rows
# right: errors = dy.reshape(-1, dy.shape[3])
# wrong: errors = dy.swapaxes(1, 2).reshape(-1, dy.shape[3])

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    columns = np.moveaxis(windows, 3, 5).reshape(dy[..., 0].size, -1)
    errors = dy.swapaxes(1, 2).reshape(-1, dy.shape[3])
    out[...] = (columns.T @ errors).reshape(shape)
