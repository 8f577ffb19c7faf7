# task: conv.spread
# way: every number repeated, and all but the first copy masked
# slip: the copies between the columns are not masked
# right: dense * on(high)[:, None, None] * on(wide)[:, None]
# wrong: dense * on(high)[:, None, None]

import numpy as np


def spread(dy, stride):
    def on(length):
        return (np.arange(length) % stride == 0).astype(dy.dtype)

    high, wide = (dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1
    dense = dy.repeat(stride, 1).repeat(stride, 2)[:, :high, :wide]
    return dense * on(high)[:, None, None]
