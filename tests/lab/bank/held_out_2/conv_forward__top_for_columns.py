# task: conv.forward
# way: matrices of zeros and ones, einsum
# slip: the matrix of the columns is made with the top padding, copied from the rows
# right: columns = meets(w.shape[1], out.shape[2], x.shape[2], stride, padding[2])
# wrong: columns = meets(w.shape[1], out.shape[2], x.shape[2], stride, padding[0])

import numpy as np

from tinyres.kernels.registry import kernel


def meets(taps, places, pixels, stride, before):
    tap, place, pixel = np.ogrid[:taps, :places, :pixels]
    return (pixel == place * stride + tap - before).astype(float)


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    rows = meets(w.shape[0], out.shape[1], x.shape[1], stride, padding[0])
    columns = meets(w.shape[1], out.shape[2], x.shape[2], stride, padding[0])
    out[...] = np.einsum("rih,sjk,nhkc,rscf->nijf", rows, columns, x, w, optimize=True)
