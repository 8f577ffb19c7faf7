# task: bn.channels_first
# way: sums over the axes (0, 2, 3), each [1, C, 1, 1]
# slip: the mean divides by the number of all values, those of the other channels too
# right: count = x.size / x.shape[1]
# wrong: count = x.size

import numpy as np


def channels_first_gradient(dy, x, gamma, mean, variance, *, eps, out):
    def wide(channel):
        return channel.astype(np.float64)[None, :, None, None]

    count = x.size
    scale = 1 / np.sqrt(wide(variance) + eps)
    xhat = (x - wide(mean)) * scale
    db = dy.sum((0, 2, 3), dtype=np.float64, keepdims=True)
    dg = (dy * xhat).sum((0, 2, 3), keepdims=True)
    out[0][...] = wide(gamma) * scale * (dy - (db + xhat * dg) / count)
    out[1][...], out[2][...] = dg.ravel(), db.ravel()
