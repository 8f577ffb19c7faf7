# task: conv.forward
# way: as_strided windows, tensordot
# slip: the stride is applied to the rows of positions only: from one window to the next in a row it is one pixel
# right: dh * stride, dq * stride, dh, dq, dc
# wrong: dh * stride, dq, dh, dq, dc

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    around = ((0, 0), padding[:2], padding[2:], (0, 0))
    for images, channels, filters in parts(x, w.shape, out.shape[1:3], groups):
        padded = np.pad(x[images, ..., channels], around)
        dn, dh, dq, dc = padded.strides
        shape = (len(padded), *out.shape[1:3], *w.shape[:3])
        windows = as_strided(padded, shape, (dn, dh * stride, dq, dh, dq, dc), writeable=False)
        out[images, ..., filters] = np.tensordot(windows, w[..., filters], axes=3)
