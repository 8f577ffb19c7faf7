# task: shortcut.pad_gradient
# way: a matrix of zeros and ones takes the channels back
# slip: the gradient is taken from the last C channels, where the zeros were, instead of from the first C
# right: np.eye(dy.shape[3], shape[3])
# wrong: np.eye(dy.shape[3], shape[3], k=shape[3] - dy.shape[3])

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("pad_shortcut_gradient", "student")
def pad_shortcut_gradient(dy, *, shape, stride, out):
    back = dy @ np.eye(dy.shape[3], shape[3], k=shape[3] - dy.shape[3])
    out.fill(0)
    for i, j in np.ndindex(*dy.shape[1:3]):
        out[:, i * stride, j * stride] = back[:, i, j]


def pad_shortcut(x, *, channels, stride, out):
    raise NotImplementedError("shortcut.pad is not written yet")
