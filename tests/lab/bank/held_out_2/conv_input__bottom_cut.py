# task: conv.input
# way: scattered through the taps into a padded image
# slip: as many rows are cut off in front as were padded at the bottom
# right: padded[:, top : top + H, left : left + W]
# wrong: padded[:, bottom : bottom + H, left : left + W]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    top, bottom, left, right = padding
    N, H, W, C = shape
    padded = np.zeros((N, H + top + bottom, W + left + right, C))
    for (r, s), (i, j) in ((tap, at) for tap in np.ndindex(w.shape[:2]) for at in np.ndindex(dy.shape[1:3])):
        padded[:, i * stride + r, j * stride + s] += dy[:, i, j] @ w[r, s].T
    out[...] = padded[:, bottom : bottom + H, left : left + W]
