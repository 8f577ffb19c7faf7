# task: block.gradient
# way: einsum, masks as factors
# slip: the shortcut hands on dy itself, not what is left of it behind the last ReLU
# right: np.add(arrived, branch, out=dx)
# wrong: np.add(dy, branch, out=dx)

import numpy as np


def block_gradient(dy, x, hidden, y, w1, w2, *, out):
    dx, dw1, dw2 = out
    arrived = dy * (y > 0)
    inner = np.einsum("nhkc,mc->nhkm", arrived, w2) * (hidden > 0)
    dw2[...] = np.einsum("nhkm,nhkc->mc", hidden, arrived)
    dw1[...] = np.einsum("nhkc,nhkm->cm", x, inner)
    branch = np.einsum("nhkm,cm->nhkc", inner, w1)
    np.add(dy, branch, out=dx)
