# task: grad.dilated
# way: loops over taps and positions, a product of small matrices in each
# slip: dx puts what belongs to a tap at its number, not at its number times the dilation
# right: home = i * stride + r * dilation - top, j * stride + s * dilation - left
# wrong: home = i * stride + r - top, j * stride + s - left

import numpy as np


def conv2d_dilated_gradients(x, w, dy, *, stride, padding, dilation):
    top, _, left, _ = padding
    height, width = x.shape[1:3]
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for r, s in np.ndindex(w.shape[:2]):
        for i, j in np.ndindex(dy.shape[1:3]):
            error = dy[:, i, j].astype(np.float64)  # [N, F]
            h, v = i * stride + r * dilation - top, j * stride + s * dilation - left
            if 0 <= h < height and 0 <= v < width:
                dw[r, s] += x[:, h, v].T @ error
            home = i * stride + r - top, j * stride + s - left
            if 0 <= home[0] < height and 0 <= home[1] < width:
                dx[:, home[0], home[1]] += error @ w[r, s].T
    return dx.astype(x.dtype), dw.astype(w.dtype)
