# task: conv.forward
# way: sliding windows and one einsum with an axis for the groups
# slip: neighbouring channels are dealt out to the groups in turn instead of staying together
# right: windows = windows.reshape(*windows.shape[:3], groups, w.shape[2], *w.shape[:2])
# wrong: windows = windows.reshape(*windows.shape[:3], w.shape[2], groups, *w.shape[:2]).swapaxes(3, 4)

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d(x, w, *, stride, padding, groups, out):
    top, bottom, left, right = padding
    plus = [(max(a, 0), max(b, 0)) for a, b in ((top, bottom), (left, right))]
    image = np.pad(x, [(0, 0), *plus, (0, 0)])
    image = image[:, max(-top, 0) : image.shape[1] - max(-bottom, 0), max(-left, 0) : image.shape[2] - max(-right, 0)]
    windows = sliding_window_view(image, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    windows = windows.reshape(*windows.shape[:3], w.shape[2], groups, *w.shape[:2]).swapaxes(3, 4)
    filters = w.reshape(*w.shape[:3], groups, -1)
    y = np.einsum("nijgcrs,rscgf->nijgf", windows, filters, optimize=True)
    out[...] = y.reshape(out.shape)
