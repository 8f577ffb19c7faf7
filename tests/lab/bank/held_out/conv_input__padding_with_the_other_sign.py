# task: conv.input
# way: the transpose of a matrix of zeros and ones for each tap, by einsum
# slip: the padding is added where it must be subtracted
# right: hit_h = (np.arange(shape[1]) == np.arange(rows)[:, None] * stride + r - top).astype(float)
# wrong: hit_h = (np.arange(shape[1]) == np.arange(rows)[:, None] * stride + r + top).astype(float)
# right: hit_w = (np.arange(shape[2]) == np.arange(columns)[:, None] * stride + s - left).astype(float)
# wrong: hit_w = (np.arange(shape[2]) == np.arange(columns)[:, None] * stride + s + left).astype(float)

import numpy as np


def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    top, left = padding[0], padding[2]
    rows, columns = dy.shape[1:3]
    errors = dy.reshape(*dy.shape[:3], groups, -1)
    filters = w.reshape(*w.shape[:3], groups, -1)
    dx = np.zeros((*shape[:3], groups, w.shape[2]))
    for r in range(w.shape[0]):
        hit_h = (np.arange(shape[1]) == np.arange(rows)[:, None] * stride + r + top).astype(float)
        for s in range(w.shape[1]):
            hit_w = (np.arange(shape[2]) == np.arange(columns)[:, None] * stride + s + left).astype(float)
            dx += np.einsum("nijgf,cgf,ih,jw->nhwgc", errors, filters[r, s], hit_h, hit_w, optimize=True)
    out[...] = dx.reshape(shape)
