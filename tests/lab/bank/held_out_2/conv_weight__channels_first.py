# task: conv.weight
# way: the columns of lab 2, one product over all images
# slip: the product's rows are read in the order c, r, s, while the columns are in the order r, s, c
# right: out[...] = dw.reshape(R, S, C, F)
# wrong: out[...] = dw.reshape(C, R, S, F).transpose(1, 2, 0, 3)

import numpy as np

from tinyres.kernels.on_numpy.columns import im2col
from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    R, S, C, F = shape
    columns = im2col(x, (R, S), stride, padding)
    dw = np.einsum("mk,mf->kf", columns, dy.reshape(-1, F))
    out[...] = dw.reshape(C, R, S, F).transpose(1, 2, 0, 3)
