# task: grad.circular
# way: images rolled by the distance of a tap, np.roll back for dx
# slip: for dw the images are rolled the other way
# right: seen = np.roll(x, (top - r, left - s), axis=(1, 2))[:, rows][:, :, columns]
# wrong: seen = np.roll(x, (r - top, s - left), axis=(1, 2))[:, rows][:, :, columns]

import numpy as np


def conv2d_circular_gradients(x, w, dy, *, stride, padding):
    top, _, left, _ = padding
    rows = np.arange(dy.shape[1]) * stride % x.shape[1]
    columns = np.arange(dy.shape[2]) * stride % x.shape[2]
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for r, s in np.ndindex(w.shape[:2]):
        seen = np.roll(x, (r - top, s - left), axis=(1, 2))[:, rows][:, :, columns]
        dw[r, s] = np.einsum("nijc,nijf->cf", seen, dy)
        back = np.zeros(x.shape)
        np.add.at(back, (slice(None), rows[:, None], columns), dy @ w[r, s].T)
        dx += np.roll(back, (r - top, s - left), axis=(1, 2))
    return dx.astype(x.dtype), dw.astype(w.dtype)
