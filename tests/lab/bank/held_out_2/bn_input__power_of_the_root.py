# task: bn.input
# way: the graph, arrow by arrow
# slip: the derivative by the variance has the root's square below it, not its cube
# right: -0.5 * s**-3
# wrong: -0.5 * s**-2

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    axes = tuple(range(x.ndim - 1))
    M = np.prod(x.shape[:-1])
    s = np.sqrt(variance.astype(float) + eps)
    apart = x - mean
    dxhat = dy * gamma
    dvariance = (dxhat * apart).sum(axes) * -0.5 * s**-2
    dmean = -dxhat.sum(axes) / s
    out[...] = dxhat / s + dvariance * 2 * apart / M + dmean / M
