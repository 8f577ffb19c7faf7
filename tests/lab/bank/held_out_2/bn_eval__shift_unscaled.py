# task: bn.eval
# way: one multiplication and one addition a value
# slip: the mean is taken away after the scaling, without being scaled itself
# right: shift = beta - mean * scale
# wrong: shift = beta - mean

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("batch_norm_eval", "student")
def batch_norm_eval(x, gamma, beta, mean, variance, *, eps, out):
    scale = gamma / np.sqrt(variance + eps)
    shift = beta - mean
    np.multiply(x, scale, out=out)
    out += shift
