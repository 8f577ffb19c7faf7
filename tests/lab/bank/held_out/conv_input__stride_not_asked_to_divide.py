# task: conv.input
# way: each pixel of dx gathers from the positions that saw it, tap by tap
# slip: nobody asks whether the position is whole, so pixels between two positions get the lower one's error too
# right: good_h, good_w = (at_h % stride == 0), (at_w % stride == 0)
# wrong: good_h, good_w = (at_h >= 0), (at_w >= 0)

import numpy as np


def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    top, _, left, _ = padding
    rows, columns = dy.shape[1:3]
    depth, filters = w.shape[2], w.shape[3] // groups
    dx = np.zeros(shape)
    for r in range(w.shape[0]):
        for s in range(w.shape[1]):
            at_h, at_w = np.arange(shape[1]) + top - r, np.arange(shape[2]) + left - s
            good_h, good_w = (at_h >= 0), (at_w >= 0)
            i, j = at_h // stride, at_w // stride
            good_h, good_w = good_h & (i >= 0) & (i < rows), good_w & (j >= 0) & (j < columns)
            here = np.ix_(range(shape[0]), np.flatnonzero(good_h), np.flatnonzero(good_w))
            errors = dy[:, i[good_h]][:, :, j[good_w]].astype(np.float64)
            for g in range(groups):
                f = slice(g * filters, (g + 1) * filters)
                dx[..., g * depth : (g + 1) * depth][here] += errors[..., f] @ w[r, s, :, f].T
    out[...] = dx
