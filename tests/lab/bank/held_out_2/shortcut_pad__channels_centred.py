# task: shortcut.pad
# way: matrices of zeros and ones
# slip: half of the new channels stands before those of x
# right: kept = np.eye(C, channels, 0, x.dtype)
# wrong: kept = np.eye(C, channels, (channels - C) // 2, x.dtype)

import numpy as np

from tinyres.kernels.registry import kernel


@kernel("pad_shortcut", "student", strided=True)
def pad_shortcut(x, *, channels, stride, out):
    _, H, W, C = x.shape
    kept = np.eye(C, channels, (channels - C) // 2, x.dtype)
    rows, columns = np.eye(H, dtype=x.dtype)[::stride], np.eye(W, dtype=x.dtype)[::stride]
    out[...] = np.einsum("ih,jk,nhkc,cd->nijd", rows, columns, x, kept, optimize=True)
