# task: conv.input
# way: sliding windows over dy among zeros, contracted with the turned filters
# slip: the filters are turned in r alone, not in s
# right: turned = w[::-1, ::-1]
# wrong: turned = w[::-1]

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def placed(errors, size, first, stride):
    """Errors at first, first + stride ... of an axis of this size; those that fall off are lost."""
    at = first + stride * np.arange(errors.shape[1])
    good = (at >= 0) & (at < size)
    room = np.zeros((errors.shape[0], size, *errors.shape[2:]))
    room[:, at[good]] = errors[:, good]
    return room


def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    taps_r, taps_s, depth = w.shape[:3]
    room = placed(dy, shape[1] + taps_r - 1, taps_r - 1 - padding[0], stride).swapaxes(1, 2)
    room = placed(room, shape[2] + taps_s - 1, taps_s - 1 - padding[2], stride).swapaxes(1, 2)
    windows = sliding_window_view(room, (taps_r, taps_s), axis=(1, 2))  # [N, H, W, F, R, S]
    turned = w[::-1]
    each = w.shape[3] // groups
    for g in range(groups):
        f = slice(g * each, (g + 1) * each)
        dx = np.tensordot(windows[:, :, :, f], turned[..., f], axes=([3, 4, 5], [3, 0, 1]))
        out[..., g * depth : (g + 1) * depth] = dx
