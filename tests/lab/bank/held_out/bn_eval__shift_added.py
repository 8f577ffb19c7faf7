# task: bn.eval
# way: one factor and one shift for each channel, by np.einsum with a diagonal matrix
# slip: the mean is added to the shift, with the wrong sign
# right: shift = beta - factor * mean
# wrong: shift = beta + factor * mean

import numpy as np


def batch_norm_eval(x, gamma, beta, mean, variance, *, eps, out):
    factor = gamma.astype(np.float64) * np.power(variance.astype(np.float64) + eps, -0.5)
    shift = beta + factor * mean
    out[...] = np.einsum("...c,cd->...d", x, np.diag(factor)) + shift
