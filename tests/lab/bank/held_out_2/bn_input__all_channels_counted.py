# task: bn.input
# way: a matrix with a column for each channel
# slip: M counts the values of all channels
# right: M = dy.size // dy.shape[-1]
# wrong: M = dy.size

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    M = dy.size
    each = 1 / np.sqrt(variance + eps)
    xhat = (x - mean).reshape(-1, x.shape[-1]) @ np.diag(each)
    away = (np.outer(np.ones(len(xhat)), dbeta) + xhat @ np.diag(dgamma)) / M
    out[...] = ((dy.reshape(xhat.shape) - away) @ np.diag(gamma * each)).reshape(x.shape)
