# task: bn.channels_first
# way: a matrix [M, C] of each array, and the formula on it
# slip: channels first arrays are reshaped to [M, C] as if the channels were the last axis
# right: return a.transpose(0, 2, 3, 1).reshape(-1, a.shape[1])
# wrong: return a.reshape(-1, a.shape[1])

import numpy as np


def matrix(a):
    """[N, C, H, W] -> [N*H*W, C]."""
    return a.reshape(-1, a.shape[1])


def channels_first_gradient(dy, x, gamma, mean, variance, *, eps, out):
    n, c, h, w = x.shape
    inv_std = 1 / np.sqrt(variance + eps)
    errors, xhat = matrix(dy), (matrix(x) - mean) * inv_std
    dgamma, dbeta = (errors * xhat).sum(0), errors.sum(0)
    dx = gamma * inv_std * (errors - errors.mean(0) - xhat * dgamma / len(xhat))
    out[0][...] = dx.reshape(n, h, w, c).transpose(0, 3, 1, 2)
    out[1][...], out[2][...] = dgamma, dbeta


def group_norm(x, gamma, beta, *, groups, eps, out):
    raise NotImplementedError("bn.group is not written yet")
