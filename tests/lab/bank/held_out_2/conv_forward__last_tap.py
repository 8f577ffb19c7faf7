# task: conv.forward
# way: a loop over taps, a product of each
# slip: each tap replaces the sum of those before it, so the last one is left alone
# right: total += near @ w[r, s]
# wrong: total = near @ w[r, s]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    (R, S), (I, J) = w.shape[:2], out.shape[1:3]
    total = np.zeros(out.shape)
    for r in range(R):
        for s in range(S):
            near = x[:, r : r + (I - 1) * stride + 1 : stride, s : s + (J - 1) * stride + 1 : stride]
            total = near @ w[r, s]
    out[...] = total
