# task: conv.weight
# way: image by image, each with sliding windows and a matrix product
# slip: the gradient of each image overwrites that of the one before instead of being added
# right: out[..., filters] +=
# wrong: out[..., filters] =

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    high, wide = dy.shape[1:3]
    per_group = shape[3] // groups
    out[...] = 0
    for image, error in zip(x, dy, strict=True):
        padded = np.pad(image, (padding[:2], padding[2:], (0, 0)))
        windows = sliding_window_view(padded, shape[:2], axis=(0, 1))[::stride, ::stride]
        windows = windows[:high, :wide].transpose(3, 4, 2, 0, 1)  # [R, S, C, I, J]
        for g in range(groups):
            filters = slice(g * per_group, (g + 1) * per_group)
            matrix = windows[:, :, g * shape[2] : (g + 1) * shape[2]].reshape(-1, high * wide)
            dw = matrix @ error[..., filters].reshape(high * wide, -1)
            out[..., filters] = dw.reshape(*shape[:3], per_group)
