# task: conv.weight
# way: image by image, tap by tap
# slip: each image replaces what those before it gave
# right: out[r, s] += met.T @ errors
# wrong: out[r, s] = met.T @ errors

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    (top, bottom, left, right), (_, I, J, F) = padding, dy.shape
    out[...] = 0
    for image, error in zip(x, dy, strict=True):
        image = np.pad(image, ((top, bottom), (left, right), (0, 0)))
        errors = error.reshape(I * J, F)
        for r, s in np.ndindex(shape[:2]):
            met = image[r:, s:][: I * stride : stride, : J * stride : stride].reshape(I * J, -1)
            out[r, s] = met.T @ errors
