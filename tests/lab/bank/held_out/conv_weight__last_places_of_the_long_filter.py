# task: conv.weight
# way: dy with zeros in between is a long filter, and x is correlated with it
# slip: where the stride leaves rows over there are more than R places, and the last R are taken instead of the first
# right: dw = np.einsum("nrsckl,nklf->rscf", places[:, :taps_r, :taps_s, c], long[..., f], optimize=True)
# wrong: dw = np.einsum("nrsckl,nklf->rscf", places[:, -taps_r:, -taps_s:, c], long[..., f], optimize=True)

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    top, bottom, left, right = padding
    around = [(0, 0), (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)]
    padded = np.pad(x.astype(np.float64), around)
    height, width = x.shape[1] + top + bottom, x.shape[2] + left + right
    padded = padded[:, max(-top, 0) :, max(-left, 0) :][:, :height, :width]
    size = (dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1
    long = np.zeros((len(dy), *size, dy.shape[3]))
    long[:, ::stride, ::stride] = dy
    places = sliding_window_view(padded, size, axis=(1, 2))  # [N, R or more, S or more, C, K, L]
    taps_r, taps_s, depth, filters = shape
    each = filters // groups
    for g in range(groups):
        c, f = slice(g * depth, (g + 1) * depth), slice(g * each, (g + 1) * each)
        dw = np.einsum("nrsckl,nklf->rscf", places[:, -taps_r:, -taps_s:, c], long[..., f], optimize=True)
        out[..., f] = dw
