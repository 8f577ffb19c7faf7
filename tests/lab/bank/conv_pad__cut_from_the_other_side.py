# task: conv.pad
# way: zeros put on with concatenate, one axis after the other
# slip: a negative number cuts its rows or columns off the opposite side
# right: x = x[cut_front : len(x) - cut_back]
# wrong: x = x[cut_back : len(x) - cut_front]

import numpy as np


def along_first(x, front, back):
    cut_front, cut_back = max(-front, 0), max(-back, 0)
    x = x[cut_back : len(x) - cut_front]
    before = np.zeros((max(front, 0), *x.shape[1:]), x.dtype)
    behind = np.zeros((max(back, 0), *x.shape[1:]), x.dtype)
    return np.concatenate([before, x, behind])


def pad(x, padding):
    top, bottom, left, right = padding
    x = along_first(x.transpose(1, 0, 2, 3), top, bottom)  # [H, N, W, C]
    x = along_first(x.transpose(2, 0, 1, 3), left, right)  # [W, H, N, C]
    return x.transpose(2, 1, 0, 3)


def im2col(x, window, stride, padding):
    raise NotImplementedError("conv.im2col is not written yet")
