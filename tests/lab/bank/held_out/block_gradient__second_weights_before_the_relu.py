# task: block.gradient
# way: pixels as the rows of matrices, outer products summed by einsum
# slip: dw2 is made with dy as it comes, not with what the last ReLU lets through
# right: dw2[...] = np.einsum("pm,pc->mc", inner, arriving)
# wrong: dw2[...] = np.einsum("pm,pc->mc", inner, dy.reshape(arriving.shape))

import numpy as np


def block_gradient(dy, x, hidden, y, w1, w2, *, out):
    dx, dw1, dw2 = out
    pixels, inner = x.reshape(-1, x.shape[3]), hidden.reshape(-1, hidden.shape[3])
    arriving = np.where(y > 0, dy, 0).reshape(pixels.shape)
    behind = np.einsum("pc,mc->pm", arriving, w2) * (inner > 0)
    dw2[...] = np.einsum("pm,pc->mc", inner, dy.reshape(arriving.shape))
    dw1[...] = np.einsum("pc,pm->cm", pixels, behind)
    dx[...] = (arriving + np.einsum("pm,cm->pc", behind, w1)).reshape(x.shape)
