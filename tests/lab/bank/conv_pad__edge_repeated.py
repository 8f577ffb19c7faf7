# task: conv.pad
# way: np.pad, then a slice for the negative numbers
# slip: the border repeats the outermost pixels instead of being zero
# right: mode="constant"
# wrong: mode="edge"

import numpy as np


def pad(x, padding):
    top, bottom, left, right = (max(p, 0) for p in padding)
    grown = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), mode="edge")
    top, bottom, left, right = (max(-p, 0) for p in padding)
    return grown[:, top : grown.shape[1] - bottom, left : grown.shape[2] - right]


def im2col(x, window, stride, padding):
    raise NotImplementedError("conv.im2col is not written yet")
