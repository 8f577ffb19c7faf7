# task: block.gradient
# way: einsum for every product
# slip: along the shortcut goes dy itself, without the mask of the last ReLU
# right: + arriving
# wrong: + dy

import numpy as np


def block_gradient(dy, x, hidden, y, w1, w2, *, out):
    dx, dw1, dw2 = out
    arriving = np.where(y > 0, dy, 0)
    dw2[...] = np.einsum("nijm,nijc->mc", hidden, arriving)
    inside = np.einsum("nijc,mc->nijm", arriving, w2) * (hidden > 0)
    dw1[...] = np.einsum("nijc,nijm->cm", x, inside)
    dx[...] = np.einsum("nijm,cm->nijc", inside, w1) + dy


def block(x, w1, w2, *, out):
    raise NotImplementedError("block.forward is not written yet")
