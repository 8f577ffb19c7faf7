# task: bn.input
# way: the six lines of the paper: the variance's gradient, the mean's, then that of x
# slip: the derivative of the square has lost its factor 2
# right: dx = dxhat / deviation + dvariance * 2 * away / count + dmean / count
# wrong: dx = dxhat / deviation + dvariance * away / count + dmean / count

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    deviation = np.sqrt(variance.astype(np.float64) + eps)
    away = x.astype(np.float64) - mean
    dxhat = dy.astype(np.float64) * gamma
    dvariance = -0.5 * (dxhat * away).sum(axes) / deviation**3
    dmean = -dxhat.sum(axes) / deviation
    dx = dxhat / deviation + dvariance * away / count + dmean / count
    out[...] = dx
