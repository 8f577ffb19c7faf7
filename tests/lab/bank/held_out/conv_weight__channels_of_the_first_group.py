# task: conv.weight
# way: windows gathered by flat indices, with np.take and a zero at the end for the border
# slip: the filters of every group are given the channels of the first
# right: mine = flat[:, g * depth : (g + 1) * depth]
# wrong: mine = flat[:, :depth]

import numpy as np


def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    n, height, width, channels = x.shape
    taps_r, taps_s, depth, filters = shape
    flat = np.concatenate([x.reshape(-1, channels), np.zeros((1, channels), x.dtype)]).astype(np.float64)
    image, i, j = np.ogrid[:n, : dy.shape[1], : dy.shape[2]]
    each = filters // groups
    for r in range(taps_r):
        for s in range(taps_s):
            h, v = i * stride + r - padding[0], j * stride + s - padding[2]
            number = (image * height + h) * width + v
            number = np.where((h >= 0) & (h < height) & (v >= 0) & (v < width), number, len(flat) - 1).ravel()
            for g in range(groups):
                mine = flat[:, :depth]
                error = dy[..., g * each : (g + 1) * each].reshape(-1, each)
                out[r, s, :, g * each : (g + 1) * each] = np.take(mine, number, axis=0).T @ error
