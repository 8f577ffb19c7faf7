# task: bn.group
# way: an axis for groups, moments by np.mean over the others
# slip: the moments are taken over the samples too
# right: over = (1, 2, 4)
# wrong: over = (0, 1, 2, 4)

import numpy as np


def group_norm(x, gamma, beta, *, groups, eps, out):
    parts = x.astype(np.float64).reshape(*x.shape[:3], groups, -1)
    over = (0, 1, 2, 4)
    middle = parts.mean(over, keepdims=True)
    spread = np.square(parts - middle).mean(over, keepdims=True)
    out[...] = ((parts - middle) / np.sqrt(spread + eps)).reshape(x.shape) * gamma + beta
