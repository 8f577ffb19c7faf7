# task: bn.input
# way: channel by channel, with the whole Jacobian matrix
# slip: the gradient of y is used as that of xhat: gamma is missing
# right: gamma[c] * jacobian @ dy[..., c].ravel()
# wrong: jacobian @ dy[..., c].ravel()

import numpy as np


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    for c in range(x.shape[-1]):
        values = x[..., c].ravel().astype(np.float64)
        m = len(values)
        std = np.sqrt(variance[c] + eps)
        xhat = (values - mean[c]) / std
        jacobian = (np.eye(m) - 1 / m - np.outer(xhat, xhat) / m) / std
        out[..., c] = (jacobian @ dy[..., c].ravel()).reshape(x.shape[:-1])


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    raise NotImplementedError("bn.parameters is not written yet")
