# task: conv.forward
# way: Fourier transforms: a product of spectra is a circular correlation
# slip: the transform has no rows for the zeros below the image, so that windows there see its first rows
# right: size = height + max(top, 0) + max(padding[1], 0), width + max(left, 0) + max(right, 0)
# wrong: size = height + max(top, 0), width + max(left, 0) + max(right, 0)

import numpy as np


def conv2d(x, w, *, stride, padding, groups, out):
    top, _, left, right = padding
    _, height, width, _ = x.shape
    size = height + max(top, 0), width + max(left, 0) + max(right, 0)
    size = max(size[0], w.shape[0]), max(size[1], w.shape[1])
    image = np.zeros((len(x), *size, x.shape[3]))
    image[:, max(top, 0) :, max(left, 0) :][:, :height, :width] = x
    depth, filters = w.shape[2], w.shape[3] // groups
    rows = np.arange(out.shape[1]) * stride + max(-top, 0)
    columns = np.arange(out.shape[2]) * stride + max(-left, 0)
    spectrum = np.fft.fft2(image, axes=(1, 2))
    answer = np.conj(np.fft.fft2(w.astype(np.float64), s=size, axes=(0, 1)))
    for g in range(groups):
        mine, its = slice(g * depth, (g + 1) * depth), slice(g * filters, (g + 1) * filters)
        y = np.fft.ifft2(np.einsum("nhwc,hwcf->nhwf", spectrum[..., mine], answer[..., its]), axes=(1, 2)).real
        out[..., its] = y.take(rows, 1, mode="wrap").take(columns, 2, mode="wrap")
