# task: shortcut.pad
# way: each value of the result is looked up by index arrays
# slip: the channels of x are repeated in the new channels instead of zeros
# right: out[...] = np.where(c < x.shape[3], found, 0)
# wrong: out[...] = found

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("pad_shortcut", "student")
def pad_shortcut(x, *, channels, stride, out):
    n, i, j, c = np.ogrid[: out.shape[0], : out.shape[1], : out.shape[2], :channels]
    found = x[n, i * stride, j * stride, c % x.shape[3]]
    out[...] = found


def pad_shortcut_gradient(dy, *, shape, stride, out):
    raise NotImplementedError("shortcut.pad_gradient is not written yet")
