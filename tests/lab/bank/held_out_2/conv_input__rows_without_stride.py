# task: conv.input
# way: matrices of zeros and ones, einsum
# slip: the stride is forgotten for the rows
# right: (h == i * stride + r - padding[0])
# wrong: (h == i + r - padding[0])

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    r, i, h = np.ogrid[: w.shape[0], : dy.shape[1], : shape[1]]
    s, j, k = np.ogrid[: w.shape[1], : dy.shape[2], : shape[2]]
    rows = (h == i + r - padding[0]).astype(dy.dtype)
    columns = (k == j * stride + s - padding[2]).astype(dy.dtype)
    back = np.einsum("nijf,rscf->nijrsc", dy, w)
    out[...] = np.einsum("nijrsc,rih,sjk->nhkc", back, rows, columns, optimize=True)
