# task: block.gradient
# way: matrices [N*H*W, C] of everything
# slip: on the way back the ReLU between the two layers is forgotten
# right: (arriving @ w2.T) * (kept > 0)
# wrong: arriving @ w2.T

import numpy as np


def block_gradient(dy, x, hidden, y, w1, w2, *, out):
    pixels, kept = x.reshape(-1, x.shape[-1]), hidden.reshape(-1, hidden.shape[-1])
    arriving = dy.reshape(pixels.shape) * np.sign(y).reshape(pixels.shape)
    inside = arriving @ w2.T
    results = (inside @ w1.T + arriving).reshape(x.shape), pixels.T @ inside, kept.T @ arriving
    for into, result in zip(out, results, strict=True):
        into[...] = result


def block(x, w1, w2, *, out):
    raise NotImplementedError("block.forward is not written yet")
