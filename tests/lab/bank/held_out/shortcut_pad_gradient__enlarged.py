# task: shortcut.pad_gradient
# way: every pixel repeated, times a mask
# slip: no mask: the pixels that were left out get the gradient of their neighbour
# right: out[...] = large * ((rows % stride == 0) & (columns % stride == 0))
# wrong: out[...] = large * ((rows // stride >= 0) & (columns // stride >= 0))

import numpy as np


def pad_shortcut_gradient(dy, *, shape, stride, out):
    large = dy[..., : shape[3]].repeat(stride, axis=1).repeat(stride, axis=2)[:, : shape[1], : shape[2]]
    rows, columns = np.arange(shape[1])[:, None, None], np.arange(shape[2])[:, None]
    out[...] = large * ((rows // stride >= 0) & (columns // stride >= 0))
