# task: conv.weight
# way: matrices of zeros and ones say which pixel a tap meets; one einsum
# slip: the pixels are looked up as if the images had no padding: everything is shifted by top and left
# right: down = meets(shape[0], dy.shape[1], x.shape[1], stride, padding[0])
# wrong: down = meets(shape[0], dy.shape[1], x.shape[1], stride, 0)
# right: across = meets(shape[1], dy.shape[2], x.shape[2], stride, padding[2])
# wrong: across = meets(shape[1], dy.shape[2], x.shape[2], stride, 0)

import numpy as np

from tinyres.kernels.registry import kernel


def meets(taps, positions, size, stride, before):
    """[taps, positions, size]: 1.0 where tap t of the window at position i lies on that pixel."""
    found = np.zeros((taps, positions, size))
    for t, i in np.ndindex(taps, positions):
        pixel = i * stride + t - before
        if 0 <= pixel < size:
            found[t, i, pixel] = 1
    return found


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    down = meets(shape[0], dy.shape[1], x.shape[1], stride, 0)
    across = meets(shape[1], dy.shape[2], x.shape[2], stride, 0)
    dw = [
        np.einsum("rih,sjq,nhqc,nijf->rscf", down, across, a, b, optimize=True)
        for a, b in zip(np.split(x, groups, 3), np.split(dy, groups, 3), strict=True)
    ]
    out[...] = np.concatenate(dw, 3)
