# task: bn.eval
# way: channel by channel
# slip: it normalises by the mean of the batch that comes in, although the running mean is given
# right: values - mean[c]
# wrong: values - values.mean()

import math

from tinyres.kernels.registry import kernel


@kernel("batch_norm_eval", "student")
def batch_norm_eval(x, gamma, beta, mean, variance, *, eps, out):
    for c in range(x.shape[-1]):
        values = x[..., c]
        distance = values - values.mean()
        out[..., c] = gamma[c] * distance / math.sqrt(variance[c] + eps) + beta[c]
