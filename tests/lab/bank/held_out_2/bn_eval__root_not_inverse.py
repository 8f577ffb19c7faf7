# task: bn.eval
# way: a loop over channels, powers
# slip: the sign of the power is forgotten: times the root, not divided by it
# right: (variance[c] + eps) ** -0.5
# wrong: (variance[c] + eps) ** 0.5

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("batch_norm_eval", "student")
def batch_norm_eval(x, gamma, beta, mean, variance, *, eps, out):
    for c in range(len(gamma)):
        size = (variance[c] + eps) ** 0.5
        out[..., c] = gamma[c] * (size * np.subtract(x[..., c], mean[c])) + beta[c]
