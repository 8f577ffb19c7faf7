# task: conv.forward
# way: every pixel meets every tap first; the products are then added where they belong
# slip: columns are shifted by the padding at the top instead of that at the left
# right: j * stride + s - padding[2]
# wrong: j * stride + s - padding[0]

import numpy as np

from tinyres.kernels.on_numpy.parts import parts
from tinyres.kernels.registry import kernel


@kernel("conv2d", "student")
def conv2d(x, w, *, stride, padding, groups, out):
    out[...] = 0
    i, j = np.arange(out.shape[1]), np.arange(out.shape[2])
    for images, channels, filters in parts(x, w.shape, out.shape[1:3], groups):
        for r in range(w.shape[0]):
            for s in range(w.shape[1]):
                products = x[images, ..., channels] @ w[r, s, :, filters]  # a 1x1 convolution
                h = i * stride + r - padding[0]
                q = j * stride + s - padding[0]
                inside, across = (h >= 0) & (h < x.shape[1]), (q >= 0) & (q < x.shape[2])
                y = np.zeros((len(products), len(i), len(j), products.shape[3]), out.dtype)
                y[:, np.ix_(inside, across)[0], np.ix_(inside, across)[1]] = products[:, h[inside]][:, :, q[across]]
                out[images, ..., filters] += y
