# task: shortcut.pad
# way: np.pad of the pixels that np.take takes
# slip: half of the new channels come before those of x, half after
# right: before = 0
# wrong: before = (channels - x.shape[3]) // 2

import numpy as np


def pad_shortcut(x, *, channels, stride, out):
    pixels = x.take(range(0, x.shape[1], stride), axis=1).take(range(0, x.shape[2], stride), axis=2)
    before = (channels - x.shape[3]) // 2
    out[...] = np.pad(pixels, [(0, 0)] * 3 + [(before, channels - x.shape[3] - before)])
