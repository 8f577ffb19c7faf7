# task: conv.input
# way: every tap sends its share back into a padded image, which is cropped
# slip: the crop begins at row 0 and column 0 of the padded image instead of behind the padding
# right: padded[:, top : top + shape[1], left : left + shape[2]]
# wrong: padded[:, : shape[1], : shape[2]]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    top, bottom, left, right = padding
    padded = np.zeros((shape[0], shape[1] + top + bottom, shape[2] + left + right, shape[3]), dy.dtype)
    down, across = (dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1
    for r in range(w.shape[0]):
        for s in range(w.shape[1]):
            sent = [
                np.einsum("nijf,cf->nijc", a, b)
                for a, b in zip(np.split(dy, groups, 3), np.split(w[r, s], groups, 1), strict=True)
            ]
            padded[:, r : r + down : stride, s : s + across : stride] += np.concatenate(sent, 3)
    out[...] = padded[:, : shape[1], : shape[2]]
