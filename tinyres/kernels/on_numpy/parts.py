"""How a convolution is divided: blocks of images whose columns fit the cache, and groups of channels.

The whole column matrix of a 16-channel layer at batch 128 would be 75 MB. A block of it is at most COLUMN_BYTES, and is
multiplied while it is still in the cache: it goes into the product without a name, as the name would keep it until the
next block is made, and two of them do not fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.blocks import blocks

Array = Any
COLUMN_BYTES = 1 << 20  # measured best from 0.5 to 2 MB on a processor with 2 MB of second-level cache


def parts(
    images: Array, w_shape: tuple[int, ...], positions: tuple[int, ...], groups: int
) -> Iterator[tuple[slice, slice, slice]]:
    """Slices (of images, of channels, of filters) that together make up the whole convolution.

    `images` is the array whose columns are taken, `positions` how many windows of it there are: rows and columns.
    """
    (r, s, channels, filters), n = w_shape, len(images)
    bytes_per_image = math.prod(positions) * r * s * images.shape[3] * images.itemsize
    for block in blocks(n, bytes_per_image, COLUMN_BYTES):
        for g in range(groups):
            yield (
                block,
                slice(g * channels, (g + 1) * channels),
                slice(g * filters // groups, (g + 1) * filters // groups),
            )


def product(columns: Array, matrix: Array, out: Array) -> None:
    """Write columns @ matrix, [M*I*J, K] @ [K, F], into a part [M,I,J,F] of the output."""
    matrix = np.ascontiguousarray(matrix)
    if out.flags.c_contiguous:  # unless there are groups
        np.matmul(columns, matrix, out=out.reshape(len(columns), -1))
    else:
        out[...] = (columns @ matrix).reshape(out.shape)
