# task: shortcut.pad_gradient
# way: a loop over pixels and a test of divisibility
# slip: the last C channels are taken instead of the first
# right: dy[:, i, j, : shape[3]]
# wrong: dy[:, i, j, -shape[3] :]

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("pad_shortcut_gradient", "student", strided=True)
def pad_shortcut_gradient(dy, *, shape, stride, out):
    for h, k in np.ndindex(shape[1:3]):
        (i, between), (j, beside) = divmod(h, stride), divmod(k, stride)
        out[:, h, k] = 0 if between or beside else dy[:, i, j, -shape[3] :]
