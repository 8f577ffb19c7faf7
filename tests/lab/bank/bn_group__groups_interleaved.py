# task: bn.group
# way: five axes, moments with keepdims
# slip: the channels are split as (C/groups, groups): every groups-th channel falls into the same group
# right: split = x.reshape(n, h * w, groups, c // groups)
# wrong: split = x.reshape(n, h * w, c // groups, groups)
# right: axis=(1, 3), keepdims=True, dtype=np.float64
# wrong: axis=(1, 2), keepdims=True, dtype=np.float64
# right: np.square(split - mean).mean(axis=(1, 3), keepdims=True)
# wrong: np.square(split - mean).mean(axis=(1, 2), keepdims=True)

import numpy as np


def group_norm(x, gamma, beta, *, groups, eps, out):
    n, h, w, c = x.shape
    split = x.reshape(n, h * w, c // groups, groups)
    mean = split.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    variance = np.square(split - mean).mean(axis=(1, 2), keepdims=True)
    out[...] = ((split - mean) / np.sqrt(variance + eps)).reshape(x.shape) * gamma + beta


def channels_first_gradient(dy, x, gamma, mean, variance, *, eps, out):
    raise NotImplementedError("bn.channels_first is not written yet")
