# task: conv.weight
# way: dy with zeros in between slides over the padded images
# slip: where the stride leaves rows over, the last R and S places are taken instead of the first
# right: places[: shape[0], : shape[1]]
# wrong: places[-shape[0] :, -shape[1] :]

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    n, high, wide, count = dy.shape
    spread = np.zeros((n, (high - 1) * stride + 1, (wide - 1) * stride + 1, count), dy.dtype)
    spread[:, ::stride, ::stride] = dy
    padded = np.pad(x, ((0, 0), padding[:2], padding[2:], (0, 0)))
    under = sliding_window_view(padded, spread.shape[1:3], axis=(1, 2))  # [N, R or more, S or more, C, ., .]
    parts = []
    for a, b in zip(np.split(under, groups, 3), np.split(spread, groups, 3), strict=True):
        places = np.einsum("nrscij,nijf->rscf", a, b, optimize=True)
        parts.append(places[-shape[0] :, -shape[1] :])
    out[...] = np.concatenate(parts, 3)
