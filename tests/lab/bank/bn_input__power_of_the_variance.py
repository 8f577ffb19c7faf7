# task: bn.input
# way: the graph of the forward pass backwards, node by node
# slip: the derivative of (variance + eps)^(-1/2) is taken to the power -1/2 instead of -3/2
# right: (variance + eps) ** -1.5
# wrong: (variance + eps) ** -0.5

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    axes, count = tuple(range(x.ndim - 1)), x.size / x.shape[-1]
    centred = x.astype(np.float64) - mean
    variance = variance.astype(np.float64)
    dxhat = dy * gamma
    dvariance = (dxhat * centred).sum(axes) * -0.5 * (variance + eps) ** -0.5
    dcentred = dxhat / np.sqrt(variance + eps) + dvariance * 2 * centred / count
    out[...] = dcentred - dcentred.sum(axes) / count


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    raise NotImplementedError("bn.parameters is not written yet")
