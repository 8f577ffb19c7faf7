# task: conv.im2col
# way: numbers of pixels in the flat image, and take
# slip: a row of the padded image is taken to be as long as one of the image itself
# right: first = rows[:, None] * WIDE + columns
# wrong: first = rows[:, None] * W + columns

import numpy as np


def im2col(x, window, stride, padding):
    top, bottom, left, right = padding
    N, H, W, C = x.shape
    R, S = window
    HIGH, WIDE = H + top + bottom, W + left + right
    padded = np.zeros((N, HIGH, WIDE, C), x.dtype)
    for p in range(HIGH):
        for q in range(WIDE):
            if 0 <= p - top < H and 0 <= q - left < W:
                padded[:, p, q] = x[:, p - top, q - left]
    rows = np.arange(0, HIGH - R + 1, stride)
    columns = np.arange(0, WIDE - S + 1, stride)
    first = rows[:, None] * W + columns
    taps = np.arange(R)[:, None] * WIDE + np.arange(S)
    pixels = first.reshape(-1, 1) + taps.reshape(-1)
    return padded.reshape(N, HIGH * WIDE, C)[:, pixels].reshape(N * len(pixels), R * S * C)
