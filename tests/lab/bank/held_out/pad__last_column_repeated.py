# task: conv.pad
# way: the nearest pixel of every place, times 1 inside and 0 outside
# slip: inside is asked of the rows only, so the first and last column are repeated to the sides
# right: inside = row_inside[:, None] & column_inside
# wrong: inside = row_inside[:, None] & np.ones_like(column_inside)

import numpy as np


def pad(x, padding):
    top, bottom, left, right = padding
    height, width = x.shape[1:3]
    rows, columns = np.arange(-top, height + bottom), np.arange(-left, width + right)
    row_inside = (rows >= 0) & (rows < height)
    column_inside = (columns >= 0) & (columns < width)
    inside = row_inside[:, None] & np.ones_like(column_inside)
    nearest = x[:, rows.clip(0, height - 1)][:, :, columns.clip(0, width - 1)]
    return nearest * inside[..., None].astype(x.dtype)
