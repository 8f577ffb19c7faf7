# task: project.gradient
# way: tensordot and a matrix product over all pixels that were taken
# slip: dx is multiplied by the weights reshaped to [F, C] instead of transposed
# right: @ w.T
# wrong: @ w.reshape(w.shape[1], w.shape[0])

import numpy as np


def project_gradient(dy, x, w, *, stride, out):
    dx, dw = out
    dx[...] = 0
    dx[:, ::stride, ::stride] = dy @ w.reshape(w.shape[1], w.shape[0])
    dw[...] = np.tensordot(x[:, ::stride, ::stride], dy, axes=([0, 1, 2], [0, 1, 2]))


def project(x, w, *, stride, out):
    raise NotImplementedError("project.forward is not written yet")
