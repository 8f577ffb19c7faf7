# task: bn.forward
# way: a matrix with a row for each channel
# slip: beta is added before gamma multiplies
# right: xhat * gamma[:, None] + beta[:, None]
# wrong: (xhat + beta[:, None]) * gamma[:, None]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("batch_norm", "student")
def batch_norm(x, gamma, beta, *, eps, out):
    y, mean, variance = out
    rows = np.moveaxis(x, -1, 0).reshape(len(gamma), -1).astype(float)
    average = np.average(rows, axis=1)
    apart = rows - average[:, None]
    spread = np.einsum("cm,cm->c", apart, apart) / rows.shape[1]
    xhat = apart / np.sqrt(spread + eps)[:, None]
    moved = (xhat + beta[:, None]) * gamma[:, None]
    y[...] = np.moveaxis(moved.reshape(len(gamma), *x.shape[:-1]), 0, -1)
    mean[...], variance[...] = average, spread
