# task: bn.forward
# way: a matrix that takes the mean away, channels as rows
# slip: eps is added in place, to the array that is handed out as the variance
# right: above = np.add(variance, eps)
# wrong: above = np.add(variance, eps, out=variance)

import numpy as np


def batch_norm(x, gamma, beta, *, eps, out):
    y, mean, variance = out
    rows = x.reshape(-1, x.shape[-1]).T.astype(np.float64)  # [C, M]
    count = rows.shape[1]
    ones = np.ones(count)
    mean[...] = rows @ ones / count
    away = rows - np.outer(rows @ ones / count, ones)
    variance[...] = np.einsum("cm,cm->c", away, away) / count
    above = np.add(variance, eps, out=variance)
    y[...] = (away / np.sqrt(above)[:, None] * gamma[:, None] + beta[:, None]).T.reshape(x.shape)
