# task: conv.forward
# way: a loop over taps, tensordot, added up in the result
# slip: the sum begins with whatever was in out before instead of with zeros
# right: y = np.zeros_like(out)
# wrong: y = out

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    top, bottom, left, right = padding
    y = out
    padded = np.pad(x, [(0, 0), (top, bottom + stride), (left, right + stride), (0, 0)])
    for images, channels, filters in parts(x, w.shape, out.shape[1:3], groups):
        for r, s in np.ndindex(*w.shape[:2]):
            seen = padded[images, r::stride, s::stride, channels][:, : y.shape[1], : y.shape[2]]
            y[images, ..., filters] += np.tensordot(seen, w[r, s, :, filters], axes=1)
    out[...] = y
