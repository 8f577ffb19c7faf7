# task: conv.weight
# way: a matrix with a row for each filter, dy turned times the windows
# slip: the rows for filters are only given the new shape, where the filters had to move to the end
# right: out[..., f] = np.moveaxis(product.reshape(each, taps_r, taps_s, depth), 0, -1)
# wrong: out[..., f] = product.reshape(taps_r, taps_s, depth, each)

import numpy as np


def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    taps_r, taps_s, depth, filters = shape
    n, rows, columns, _ = dy.shape
    windows = np.zeros((n, rows, columns, taps_r, taps_s, x.shape[3]))
    for i in range(rows):
        for j in range(columns):
            h, v = i * stride - padding[0], j * stride - padding[2]
            r, s = max(0, -h), max(0, -v)
            piece = x[:, h + r : max(h + taps_r, 0), v + s : max(v + taps_s, 0)]
            windows[:, i, j, r : r + piece.shape[1], s : s + piece.shape[2]] = piece
    each = filters // groups
    for g in range(groups):
        f = slice(g * each, (g + 1) * each)
        mine = windows[..., g * depth : (g + 1) * depth].reshape(n * rows * columns, -1)
        product = dy[..., f].reshape(-1, each).T @ mine
        out[..., f] = product.reshape(taps_r, taps_s, depth, each)
