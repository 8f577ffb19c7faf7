# task: conv.input
# way: errors spread over a larger image, sliding windows
# slip: the filters are turned in their rows only
# right: w[::-1, ::-1]
# wrong: w[::-1]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    (N, H, W, _), (R, S) = shape, w.shape[:2]
    errors = np.zeros((N, H + R - 1, W + S - 1, dy.shape[3]), dy.dtype)
    for i, j in np.ndindex(dy.shape[1:3]):
        p, q = i * stride + R - 1 - padding[0], j * stride + S - 1 - padding[2]
        if 0 <= p < H + R - 1 and 0 <= q < W + S - 1:
            errors[:, p, q] = dy[:, i, j]
    windows = np.lib.stride_tricks.sliding_window_view(errors, (R, S), axis=(1, 2))
    out[...] = np.einsum("nhkfrs,rscf->nhkc", windows, w[::-1])
