# task: bn.parameters
# way: xhat as one matrix, einsum for the sums
# slip: xhat is computed without eps
# right: np.sqrt(variance + eps)
# wrong: np.sqrt(variance)

import numpy as np


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    xhat = ((x - mean) / np.sqrt(variance)).reshape(-1, x.shape[-1])
    errors = dy.reshape(-1, x.shape[-1])
    out[0][...] = np.einsum("mc,mc->c", errors, xhat, dtype=np.float64)
    out[1][...] = np.einsum("mc->c", errors, dtype=np.float64)


def input_gradient(dy, x, gamma, mean, variance, dgamma, dbeta, *, eps, out):
    raise NotImplementedError("bn.input is not written yet")
