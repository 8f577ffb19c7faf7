# task: conv.spread
# way: every number repeated, and a mask that leaves one of them
# slip: the mask keeps what lies in a row OR a column of the stride, so that crosses of copies are left
# right: (rows % stride == 0) & (columns % stride == 0)
# wrong: (rows % stride == 0) | (columns % stride == 0)

import numpy as np


def spread(dy, stride):
    high, wide = (dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1
    copies = dy.repeat(stride, axis=1).repeat(stride, axis=2)[:, :high, :wide]
    rows, columns = np.ogrid[:high, :wide]
    mask = (rows % stride == 0) | (columns % stride == 0)
    return copies * mask[:, :, None].astype(dy.dtype)
