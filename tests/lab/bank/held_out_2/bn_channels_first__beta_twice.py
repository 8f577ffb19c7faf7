# task: bn.channels_first
# way: a loop over channels
# slip: the term of the variance has dbeta in the place of dgamma
# right: xhat * dgamma[c]
# wrong: xhat * dbeta[c]

import numpy as np


def channels_first_gradient(dy, x, gamma, mean, variance, *, eps, out):
    dx, dgamma, dbeta = out
    for c, errors in enumerate(dy.swapaxes(0, 1)):
        inverse = 1 / np.sqrt(variance[c] + eps)
        xhat = (x[:, c] - mean[c]) * inverse
        dgamma[c] = np.vdot(errors, xhat)
        dbeta[c] = np.sum(errors)
        dx[:, c] = gamma[c] * inverse * (errors - (dbeta[c] + xhat * dbeta[c]) / errors.size)
