# task: bn.parameters
# way: sums of products, the mean taken out of the sum
# slip: the mean is taken away once instead of once for each dy
# right: met - mean * errors
# wrong: met - mean

import numpy as np


def parameter_gradients(dy, x, mean, variance, *, eps, out):
    dgamma, dbeta = out
    errors = np.einsum("mc->c", dy.reshape(-1, dy.shape[-1]), dtype=float)
    met = np.einsum("mc,mc->c", dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1]), dtype=float)
    dgamma[...] = (met - mean) / np.sqrt(variance + eps)
    dbeta[...] = errors
