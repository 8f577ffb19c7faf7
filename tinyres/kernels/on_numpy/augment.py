"""A batch from the stored images: gather, scale, subtract the mean image, pad with zeros, crop, mirror."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel
from tinyres.kernels.streams import crops_and_flips

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


@kernel("next_batch", "numpy")
def next_batch(
    images: Array,
    labels: Array,
    order: Array,
    mean: Array,
    at: Array,
    *,
    count: int,
    batch: int,
    per_epoch: int,
    seed: int,
    padding: int,
    flip: bool,
    scale: float,
    out: tuple[Array, Array],
) -> None:
    """The batch of step at[0]: images, augmented, and labels at the positions of that step in the order of its epoch.

    step = at[0];  epoch = step // per_epoch;  position = step % per_epoch * batch + i, the last image's at most;
    index = order[epoch % 2, position], so that the order of the next epoch can be written while this one runs.
    """
    x, own_labels = out
    epoch, number = divmod(int(at[0]), per_epoch)
    positions = np.minimum(np.arange(number * batch, number * batch + count), len(images) - 1)
    index = order[epoch % 2, positions]
    top, left, mirrored = crops_and_flips(seed, epoch, positions, padding)
    augment(images, index, mean, top, left, mirrored & flip, scale=scale, padding=padding, out=x)
    own_labels[...] = labels[index]
