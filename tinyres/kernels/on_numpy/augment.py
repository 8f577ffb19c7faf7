"""A batch from the stored images: gather, scale, subtract the mean image, pad with zeros, crop, mirror."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel

Array = Any


@kernel("augment", "numpy")
def augment(
    images: Array,
    index: Array,
    mean: Array,
    top: Array,
    left: Array,
    flip: Array,
    *,
    scale: float,
    padding: int,
    out: Array,
) -> None:
    """y[n,i,j] = images[index[n], i', j'] * scale - mean[i', j'], and 0 outside the image.

    i' = i + top[n] - padding; j' = j + left[n] - padding, counted from the right edge where flip[n]. So top = left =
    padding and no flip is the plain image.
    """
    h, w, _ = mean.shape
    canvas = np.zeros((h + 2 * padding, w + 2 * padding, mean.shape[2]), mean.dtype)
    inner = canvas[padding : padding + h, padding : padding + w]
    for n, (i, t, s, mirrored) in enumerate(zip(index, top, left, flip, strict=True)):
        np.multiply(images[i], mean.dtype.type(scale), out=inner)
        np.subtract(inner, mean, out=inner)
        crop = canvas[t : t + h, s : s + w]
        out[n] = crop[:, ::-1] if mirrored else crop
