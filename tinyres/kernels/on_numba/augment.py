"""A batch from the stored images, image by image: gather, scale, subtract the mean image, pad, crop, mirror."""

from __future__ import annotations

from typing import Any

from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any


@njit(nogil=True, cache=True)
def _batch(start, stop, images, index, mean, top, left, flip, scale, padding, y):  # type: ignore[no-untyped-def]
    h, w, channels = mean.shape
    for n in range(start, stop):
        source = images[index[n]]
        for i in range(h):
            row = i + top[n] - padding
            for j in range(w):
                column = (w - 1 - j if flip[n] else j) + left[n] - padding
                inside = 0 <= row < h and 0 <= column < w
                for c in range(channels):
                    y[n, i, j, c] = source[row, column, c] * scale - mean[row, column, c] if inside else 0


@kernel("augment", "numba")
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
    share(_batch, len(index), 4 * out.size, images, index, mean, top, left, flip, mean.dtype.type(scale), padding, out)
