# task: conv.weight
# way: position by position: the window times the error there
# slip: the loop over the rows of positions ends one too early
# right: for i in range(dy.shape[1]):
# wrong: for i in range(dy.shape[1] - 1):

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    out[...] = 0
    padded = np.pad(x, ((0, 0), padding[:2], padding[2:], (0, 0)))
    for images, channels, filters in parts(x, shape, dy.shape[1:3], groups):
        for i in range(dy.shape[1] - 1):
            for j in range(dy.shape[2]):
                h, q = i * stride, j * stride
                window = padded[images, h : h + shape[0], q : q + shape[1], channels]
                out[..., filters] += np.einsum("nrsc,nf->rscf", window, dy[images, i, j, filters])
