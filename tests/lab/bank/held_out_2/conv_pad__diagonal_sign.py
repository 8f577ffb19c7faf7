# task: conv.pad
# way: matrices of zeros and ones
# slip: the diagonal of the rows' matrix lies on the wrong side: the image moves up instead of down
# right: np.eye(H + top + bottom, H, -top, x.dtype)
# wrong: np.eye(H + top + bottom, H, top, x.dtype)

import numpy as np


def pad(x, padding):
    top, bottom, left, right = padding
    _, H, W, _ = x.shape
    rows = np.eye(H + top + bottom, H, top, x.dtype)
    columns = np.eye(W + left + right, W, -left, x.dtype)
    return np.einsum("ph,qw,nhwc->npqc", rows, columns, x)
