# task: bn.input
# way: what is left of dy after its parts along 1 and along xhat are taken out
# slip: only the part along 1 is taken out: the variance is treated as if it did not depend on x
# right: for direction in directions:
# wrong: for direction in directions[:1]:

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    channels = x.shape[-1]
    flat = dy.reshape(-1, channels).astype(np.float64)
    inv_std = 1 / np.sqrt(variance + eps)
    xhat = (x.reshape(-1, channels) - mean) * inv_std
    directions = np.stack([np.ones_like(xhat), xhat]) / len(flat) ** 0.5  # each of length 1
    left = flat.copy()
    for direction in directions[:1]:
        left -= direction * (direction * flat).sum(0)
    out[...] = (gamma * inv_std * left).reshape(x.shape)


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    raise NotImplementedError("bn.parameters is not written yet")
