# task: bn.eval
# way: folded into one scale and one shift for each channel
# slip: the shift is beta - mean: the mean is taken away after the scale without being scaled
# right: beta - mean * scale
# wrong: beta - mean

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("batch_norm_eval", "student")
def batch_norm_eval(x, gamma, beta, mean, variance, *, eps, out):
    scale = gamma / np.sqrt(variance + eps)
    shift = beta - mean
    out[...] = x * scale + shift
