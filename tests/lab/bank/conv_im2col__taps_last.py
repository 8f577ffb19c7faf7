# task: conv.im2col
# way: slices for each tap, stacked
# slip: the taps are stacked behind the channels, so a row runs c, r, s instead of r, s, c
# right: np.stack(taps, axis=3)
# wrong: np.stack(taps, axis=4)

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
    taps = [
        padded[:, r : r + (high - 1) * stride + 1 : stride, s : s + (wide - 1) * stride + 1 : stride]
        for r in range(window[0])
        for s in range(window[1])
    ]
    return np.stack(taps, axis=4).reshape(len(x) * high * wide, window[0] * window[1] * x.shape[3])
