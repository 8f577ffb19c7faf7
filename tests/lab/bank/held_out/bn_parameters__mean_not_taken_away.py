# task: bn.parameters
# way: channel by channel, np.dot of two long vectors
# slip: dgamma is made with x over its deviation, the mean still in it
# right: xhat = (x[..., c].ravel().astype(np.float64) - mean[c]) / deviation
# wrong: xhat = x[..., c].ravel().astype(np.float64) / deviation

import numpy as np


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    for c in range(x.shape[-1]):
        deviation = np.sqrt(float(variance[c]) + eps)
        xhat = x[..., c].ravel().astype(np.float64) / deviation
        error = dy[..., c].ravel().astype(np.float64)
        out[0][c], out[1][c] = np.dot(error, xhat), np.dot(error, np.ones_like(error))
