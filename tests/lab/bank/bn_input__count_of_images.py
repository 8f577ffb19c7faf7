# task: bn.input
# way: one matrix [M, C], the formula with M multiplied through
# slip: M is the number of images instead of the number of values of a channel
# right: m = len(errors)
# wrong: m = len(x)

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    errors, values = dy.reshape(-1, x.shape[-1]), x.reshape(-1, x.shape[-1])
    m = len(x)
    inv_std = 1 / np.sqrt(variance.astype(np.float64) + eps)
    xhat = (values - mean) * inv_std
    dx = gamma * inv_std / m * (m * errors - dbeta - xhat * dgamma)
    out[...] = dx.reshape(x.shape)


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    raise NotImplementedError("bn.parameters is not written yet")
