# task: conv.im2col
# way: sliding windows and a transpose
# slip: the window's two axes are exchanged: columns come in the order s, r, c
# right: windows.transpose(0, 1, 2, 4, 5, 3)
# wrong: windows.transpose(0, 1, 2, 5, 4, 3)

import numpy as np


def cut_or_pad(x, axis, before, after):
    widths = [(0, 0)] * 4
    widths[axis] = max(before, 0), max(after, 0)
    x = np.pad(x, widths)
    keep = np.arange(max(-before, 0), x.shape[axis] - max(-after, 0))
    return np.take(x, keep, axis)


def im2col(x, window, stride, padding):
    x = cut_or_pad(cut_or_pad(x, 1, *padding[:2]), 2, *padding[2:])
    windows = np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))[:, ::stride, ::stride]
    ordered = windows.transpose(0, 1, 2, 5, 4, 3)
    return ordered.reshape(np.prod(ordered.shape[:3]), -1)
