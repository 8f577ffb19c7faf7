# task: conv.weight
# way: an einsum for each image and each tap
# slip: each image writes over what the images before it gave
# right: out[r, s, :, f] += np.einsum("ijc,ijf->cf", seen[..., c], error[..., f])
# wrong: out[r, s, :, f] = np.einsum("ijc,ijf->cf", seen[..., c], error[..., f])

import numpy as np


def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    out[...] = 0
    height, width = x.shape[1:3]
    depth, each = shape[2], shape[3] // groups
    for image, error in zip(x, dy, strict=True):
        for r, s in np.ndindex(shape[:2]):
            h = np.arange(dy.shape[1]) * stride + r - padding[0]
            v = np.arange(dy.shape[2]) * stride + s - padding[2]
            inside = ((h >= 0) & (h < height))[:, None] & ((v >= 0) & (v < width))
            seen = image[np.ix_(h.clip(0, height - 1), v.clip(0, width - 1))] * inside[..., None].astype(x.dtype)
            for g in range(groups):
                c, f = slice(g * depth, (g + 1) * depth), slice(g * each, (g + 1) * each)
                out[r, s, :, f] = np.einsum("ijc,ijf->cf", seen[..., c], error[..., f])
