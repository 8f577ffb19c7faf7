# task: bn.parameters
# way: the product rule worked out: dgamma = (sum dy x - mean sum dy) / deviation
# slip: divided by the variance, its root forgotten
# right: out[0][...] = (moment - mean * error) / np.sqrt(variance.astype(np.float64) + eps)
# wrong: out[0][...] = (moment - mean * error) / (variance.astype(np.float64) + eps)

import numpy as np


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    errors = dy.reshape(-1, dy.shape[-1]).astype(np.float64)
    error = errors.sum(0)
    moment = np.einsum("mc,mc->c", errors, x.reshape(errors.shape))
    out[0][...] = (moment - mean * error) / (variance.astype(np.float64) + eps)
    out[1][...] = error
