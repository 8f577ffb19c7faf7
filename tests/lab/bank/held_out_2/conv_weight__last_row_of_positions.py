# task: conv.weight
# way: a loop over positions, an outer product of each
# slip: the loop ends one row of positions too early
# right: for i in range(I):
# wrong: for i in range(I - 1):

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    (R, S, _, _), (top, bottom, left, right) = shape, padding
    _, I, J, _ = dy.shape
    x = np.pad(x.astype(float), ((0, 0), (top, bottom), (left, right), (0, 0)))
    total = np.zeros(shape)
    for i in range(I - 1):
        for j in range(J):
            window = x[:, i * stride : i * stride + R, j * stride : j * stride + S]
            total += np.tensordot(window, dy[:, i, j], (0, 0))
    out[...] = total
