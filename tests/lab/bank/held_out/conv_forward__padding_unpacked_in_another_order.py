# task: conv.forward
# way: matrices of zeros and ones that choose the rows and the columns of each tap
# slip: the padding is unpacked as top, left, bottom, right
# right: top, _, left, _ = padding
# wrong: top, left, _, _ = padding

import numpy as np


def chooser(count, size, tap, stride, before):
    """[count, size]: 1 where position i of the windows meets pixel h through this tap."""
    i, h = np.ogrid[:count, :size]
    return (h == i * stride + tap - before).astype(np.float64)


def conv2d(x, w, *, stride, padding, groups, out):
    top, left, _, _ = padding
    _, height, width, _ = x.shape
    rows, columns = out.shape[1:3]
    depth, filters = w.shape[2], w.shape[3] // groups
    for g in range(groups):
        images = x[..., g * depth : (g + 1) * depth].astype(np.float64)
        total = 0.0
        for r in range(w.shape[0]):
            some_rows = np.einsum("ih,nhwc->niwc", chooser(rows, height, r, stride, top), images)
            for s in range(w.shape[1]):
                pixels = np.einsum("jw,niwc->nijc", chooser(columns, width, s, stride, left), some_rows)
                total = total + pixels @ w[r, s, :, g * filters : (g + 1) * filters]
        out[..., g * filters : (g + 1) * filters] = total
