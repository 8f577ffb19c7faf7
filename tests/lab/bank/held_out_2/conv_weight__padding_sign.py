# task: conv.weight
# way: matrices of zeros and ones, einsum
# slip: the top padding is added where it has to be taken away
# right: i * stride + r - padding[0]
# wrong: i * stride + r + padding[0]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    i, r = np.ogrid[: dy.shape[1], : shape[0]]
    j, s = np.ogrid[: dy.shape[2], : shape[1]]
    row, column = i * stride + r + padding[0], j * stride + s - padding[2]
    down = (row[..., None] == np.arange(x.shape[1])).astype(x.dtype)
    across = (column[..., None] == np.arange(x.shape[2])).astype(x.dtype)
    met = np.einsum("irh,jsk,nhkc->nijrsc", down, across, x, optimize=True)
    out[...] = np.einsum("nijrsc,nijf->rscf", met, dy)
