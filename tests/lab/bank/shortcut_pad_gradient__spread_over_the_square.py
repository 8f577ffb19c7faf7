# task: shortcut.pad_gradient
# way: every gradient repeated stride times, then a mask
# slip: all pixels of a square get its gradient, also those that were left out in the forward pass
# right: out[...] = copies * kept
# wrong: out[...] = copies

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("pad_shortcut_gradient", "student")
def pad_shortcut_gradient(dy, *, shape, stride, out):
    copies = np.kron(dy[..., : shape[3]], np.ones((1, stride, stride, 1), dy.dtype))[:, : shape[1], : shape[2]]
    kept = np.zeros((shape[1], shape[2], 1), dy.dtype)
    kept[::stride, ::stride] = 1
    out[...] = copies


def pad_shortcut(x, *, channels, stride, out):
    raise NotImplementedError("shortcut.pad is not written yet")
