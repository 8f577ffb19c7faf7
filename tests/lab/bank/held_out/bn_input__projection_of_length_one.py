# task: bn.input
# way: geometry: dy less its projections on the vector of ones and on xhat
# slip: the projection on xhat divides by its squared length, which is a little less than M as eps stands in xhat
# right: along = xhat * (xhat * errors).sum(0) / len(xhat)
# wrong: along = xhat * (xhat * errors).sum(0) / (xhat * xhat).sum(0)

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    errors = dy.reshape(-1, dy.shape[-1]).astype(np.float64)
    scale = 1 / np.sqrt(variance.astype(np.float64) + eps)
    xhat = (x.reshape(errors.shape).astype(np.float64) - mean) * scale
    along = xhat * (xhat * errors).sum(0) / (xhat * xhat).sum(0)
    out[...] = (gamma * scale * (errors - errors.mean(0) - along)).reshape(x.shape)
