# task: conv.weight
# way: a loop over taps, einsum for each
# slip: the sum over the images is divided by their number
# right: np.einsum("nijc,nijf->cf", seen, dy[..., f])
# wrong: np.einsum("nijc,nijf->cf", seen, dy[..., f]) / len(x)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    padded = np.pad(x, ((0, 0), padding[:2], padding[2:], (0, 0)))
    down, across = (dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1
    depth, count = shape[2], shape[3] // groups
    for g in range(groups):
        c, f = slice(g * depth, (g + 1) * depth), slice(g * count, (g + 1) * count)
        for r in range(shape[0]):
            for s in range(shape[1]):
                seen = padded[:, r : r + down : stride, s : s + across : stride, c]
                out[r, s, :, f] = np.einsum("nijc,nijf->cf", seen, dy[..., f]) / len(x)
