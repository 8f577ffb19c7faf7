# task: shortcut.pad
# way: np.pad along the channels
# slip: half of the zeros stand before the channels of x, as some implementations have it, instead of all behind
# right: before = 0
# wrong: before = (channels - x.shape[3]) // 2

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("pad_shortcut", "student")
def pad_shortcut(x, *, channels, stride, out):
    before = (channels - x.shape[3]) // 2
    after = channels - x.shape[3] - before
    out[...] = np.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (before, after)))


def pad_shortcut_gradient(dy, *, shape, stride, out):
    raise NotImplementedError("shortcut.pad_gradient is not written yet")
