# task: conv.im2col
# way: index arrays
# slip: within a row of the matrix the numbers stand in the order s, r, c instead of r, s, c
# right: i, j, r, s = np.ogrid[:high, :wide, : window[0], : window[1]]
# wrong: i, j, s, r = np.ogrid[:high, :wide, : window[1], : window[0]]

import numpy as np


def positions(size, window, stride, padding):
    top, bottom, left, right = padding
    return (size[0] + top + bottom - window[0]) // stride + 1, (size[1] + left + right - window[1]) // stride + 1


def pad(x, padding):
    more, less = np.maximum(padding, 0), np.maximum(np.negative(padding), 0)
    grown = np.pad(x, ((0, 0), more[:2], more[2:], (0, 0)))
    return grown[:, less[0] : grown.shape[1] - less[1], less[2] : grown.shape[2] - less[3]]


def im2col(x, window, stride, padding):
    high, wide = positions(x.shape[1:3], window, stride, padding)
    padded = pad(x, padding)
    i, j, s, r = np.ogrid[:high, :wide, : window[1], : window[0]]
    windows = padded[:, i * stride + r, j * stride + s]
    return windows.reshape(len(x) * high * wide, -1)
