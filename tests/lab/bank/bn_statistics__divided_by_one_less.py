# task: bn.statistics
# way: one matrix [M, C], deviations, einsum
# slip: the sum of squares is divided by M - 1 instead of M
# right: / len(matrix)
# wrong: / max(len(matrix) - 1, 1)

import numpy as np


def statistics(x, *, out):
    matrix = x.reshape(-1, x.shape[-1]).astype(np.float64)
    mean, variance = out
    centre = matrix.mean(0)
    deviations = matrix - centre
    mean[...] = centre
    variance[...] = np.einsum("mc,mc->c", deviations, deviations) / max(len(matrix) - 1, 1)
