# task: bn.forward
# way: channels in front, statistics over one axis, standard deviation by np.std
# slip: eps is added to the standard deviation instead of to the variance
# right: np.sqrt(deviation**2 + eps)
# wrong: deviation + eps

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("batch_norm", "student")
def batch_norm(x, gamma, beta, *, eps, out):
    y, mean, variance = out
    rows = np.moveaxis(x, -1, 0).reshape(x.shape[-1], -1).astype(np.float64)
    centre, deviation = rows.mean(1), rows.std(1)
    mean[...], variance[...] = centre, deviation**2
    bottom = deviation + eps
    y[...] = ((x - centre) / bottom) * gamma + beta
