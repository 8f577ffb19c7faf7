# task: conv.im2col
# way: index arrays into the padded images
# slip: a row has its numbers in PyTorch's order c, r, s
# right: taken = padded[:, h[:, None, :, None], v[None, :, None, :], :]
# wrong: taken = np.moveaxis(padded[:, h[:, None, :, None], v[None, :, None, :], :], -1, 3)

import numpy as np


def surrounded(x, padding):
    """Zeros around, or rows and columns off."""
    top, bottom, left, right = padding
    n, height, width, depth = x.shape
    room = np.zeros((n, height + abs(top) + abs(bottom), width + abs(left) + abs(right), depth), x.dtype)
    room[:, abs(top) : abs(top) + height, abs(left) : abs(left) + width] = x
    first_row, first_column = abs(top) - top, abs(left) - left
    return room[:, first_row : first_row + height + top + bottom, first_column : first_column + width + left + right]


def im2col(x, window, stride, padding):
    padded = surrounded(x, padding)
    rows = (padded.shape[1] - window[0]) // stride + 1
    columns = (padded.shape[2] - window[1]) // stride + 1
    h = np.arange(rows)[:, None] * stride + np.arange(window[0])  # [I, R]
    v = np.arange(columns)[:, None] * stride + np.arange(window[1])  # [J, S]
    taken = np.moveaxis(padded[:, h[:, None, :, None], v[None, :, None, :], :], -1, 3)
    return taken.reshape(len(x) * rows * columns, -1)
