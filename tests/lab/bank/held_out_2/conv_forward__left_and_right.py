# task: conv.forward
# way: a loop over positions, a contraction of each window
# slip: left and right padding are exchanged
# right: (left, right), (0, 0)
# wrong: (right, left), (0, 0)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (right, left), (0, 0)))
    for i, j in np.ndindex(out.shape[1:3]):
        h, k = i * stride, j * stride
        out[:, i, j] = np.tensordot(x[:, h : h + w.shape[0], k : k + w.shape[1]], w, 3)
