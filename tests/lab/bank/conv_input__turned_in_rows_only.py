# task: conv.input
# way: dy with zeros in between and around it, sliding windows, einsum
# slip: the filters are turned over in r, but not in s
# right: w[::-1, ::-1]
# wrong: w[::-1]

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    (n, high, wide, f), (r, s) = dy.shape, w.shape[:2]
    margin = 2 * max(r, s) + stride + max(map(abs, padding))  # more than is needed; the right part is cut out
    big = np.zeros((n, shape[1] + r + 2 * margin, shape[2] + s + 2 * margin, f), dy.dtype)
    first, left = margin + r - 1 - padding[0], margin + s - 1 - padding[2]
    big[:, first : first + high * stride : stride, left : left + wide * stride : stride] = dy
    big = big[:, margin : margin + shape[1] + r - 1, margin : margin + shape[2] + s - 1]
    windows = sliding_window_view(big, (r, s), axis=(1, 2))
    turned = w[::-1]
    out[...] = np.concatenate(
        [
            np.einsum("nhqfrs,rscf->nhqc", a, b)
            for a, b in zip(np.split(windows, groups, 3), np.split(turned, groups, 3), strict=True)
        ],
        axis=3,
    )
