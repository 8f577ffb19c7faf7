# task: block.forward
# way: pixel by pixel
# slip: the shortcut is added behind the last ReLU instead of before it
# right: np.maximum(x[n, i, j] + inner @ w2, 0)
# wrong: x[n, i, j] + np.maximum(inner @ w2, 0)

import numpy as np


def block(x, w1, w2, *, out):
    hidden, y = out
    for n, i, j in np.ndindex(*x.shape[:3]):
        inner = np.maximum(x[n, i, j] @ w1, 0)
        hidden[n, i, j], y[n, i, j] = inner, x[n, i, j] + np.maximum(inner @ w2, 0)


def block_gradient(dy, x, hidden, y, w1, w2, *, out):
    raise NotImplementedError("block.gradient is not written yet")
