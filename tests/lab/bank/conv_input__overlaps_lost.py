# task: conv.input
# way: np.add.at with index arrays
# slip: dx[:, h, q] += ... with index arrays adds only once where windows overlap; np.add.at adds each
# right: np.add.at(padded, (slice(None), h, q), sent)
# wrong: padded[:, h, q] += sent

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    top, bottom, left, right = padding
    i, j, r, s = np.ogrid[: dy.shape[1], : dy.shape[2], : w.shape[0], : w.shape[1]]
    h, q = i * stride + r, j * stride + s
    for images, channels, filters in parts(dy, w.shape, shape[1:3], groups):
        sent = np.einsum("nijf,rscf->nijrsc", dy[images, ..., filters], w[..., filters])
        padded = np.zeros((len(sent), shape[1] + top + bottom, shape[2] + left + right, sent.shape[-1]), dy.dtype)
        padded[:, h, q] += sent
        out[images, ..., channels] = padded[:, top : top + shape[1], left : left + shape[2]]
