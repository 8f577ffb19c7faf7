# task: project.gradient
# way: a loop over positions, outer products
# slip: dw meets x at the position in y, without the stride
# right: dw += x[:, h, k].T @ dy[:, i, j]
# wrong: dw += x[:, i, j].T @ dy[:, i, j]

import numpy as np


def project_gradient(dy, x, w, *, stride, out):
    dx, dw = out
    dx[...], dw[...] = 0, 0
    for i, j in np.ndindex(dy.shape[1:3]):
        h, k = i * stride, j * stride
        dx[:, h, k] = np.inner(dy[:, i, j], w)
        dw += x[:, i, j].T @ dy[:, i, j]
