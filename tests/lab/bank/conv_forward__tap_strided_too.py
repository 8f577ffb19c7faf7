# task: conv.forward
# way: matrices of zeros and ones say which pixel a tap meets; one einsum
# slip: the offset of the tap is multiplied by the stride as well: (i + r) * stride instead of i * stride + r
# right: positions * stride + taps - before
# wrong: (positions + taps) * stride - before

import numpy as np

from tinyres.kernels.registry import kernel


def meets(taps, positions, size, stride, before):
    """[taps, positions, size]: 1 where tap t of the window at position i lies on that pixel."""
    taps, positions, pixels = np.ogrid[:taps, :positions, :size]
    return (positions + taps) * stride - before == pixels


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    down = meets(w.shape[0], out.shape[1], x.shape[1], stride, padding[0]).astype(x.dtype)
    across = meets(w.shape[1], out.shape[2], x.shape[2], stride, padding[2]).astype(x.dtype)
    xs, ws = np.split(x, groups, axis=3), np.split(w, groups, axis=3)
    ys = [np.einsum("rih,sjq,nhqc,rscf->nijf", down, across, a, b, optimize=True) for a, b in zip(xs, ws, strict=True)]
    out[...] = np.concatenate(ys, axis=3)
