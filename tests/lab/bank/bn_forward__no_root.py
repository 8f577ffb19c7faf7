# task: bn.forward
# way: deviations first, everything from them
# slip: it divides by the variance instead of by its root
# right: (variance + eps) ** -0.5
# wrong: (variance + eps) ** -1.0

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("batch_norm", "student")
def batch_norm(x, gamma, beta, *, eps, out):
    y, mean, variance = out
    axes = tuple(range(x.ndim - 1))
    mean[...] = np.average(x, axis=axes)
    away = x - np.average(x.astype(np.float64), axis=axes)
    variance[...] = np.average(away * away, axis=axes)
    y[...] = away * (gamma * (variance + eps) ** -1.0) + beta
