# task: conv.im2col
# way: a list of rows, one window after the other
# slip: the rows run through the images fastest: row (i, j, n) instead of (n, i, j)
# right: for n, i, j in product(range(len(x)), range(high), range(wide)):
# wrong: for i, j, n in product(range(high), range(wide), range(len(x))):

from itertools import product

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
    rows = []
    for i, j, n in product(range(high), range(wide), range(len(x))):
        h, q = i * stride, j * stride
        rows.append(padded[n, h : h + window[0], q : q + window[1]].ravel())
    return np.array(rows)
