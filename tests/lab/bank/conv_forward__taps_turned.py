# task: conv.forward
# way: a loop over taps, einsum for each
# slip: the filters are turned by 180 degrees, as the convolution of signal processing wants it
# right: w[r, s]
# wrong: w[-1 - r, -1 - s]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    top, bottom, left, right = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows, columns = out.shape[1] * stride, out.shape[2] * stride
    split = np.split(padded, groups, axis=3)
    total = np.zeros(out.shape, out.dtype)
    for r in range(w.shape[0]):
        for s in range(w.shape[1]):
            tap = np.split(w[-1 - r, -1 - s], groups, axis=1)
            seen = [part[:, r : r + rows : stride, s : s + columns : stride] for part in split]
            y = np.concatenate([np.einsum("nijc,cf->nijf", a, b) for a, b in zip(seen, tap, strict=True)], axis=3)
            total += y[:, : out.shape[1], : out.shape[2]]
    out[...] = total
