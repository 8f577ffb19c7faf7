"""Batches out of the images that lie on the GPU (`cuda/batch.cuh`), a block an image. Not yet run on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.registry import kernel

Array = Any


@kernel("augment", "cupy", device="cuda")
def augment(
    images: Array, index: Array, mean: Array, top: Array, left: Array, flip: Array, *, scale: float, padding: int,
    out: Array,
) -> None:  # fmt: skip
    """y[n,i,j] = images[index[n], i', j'] * scale - mean[i', j'], and 0 outside the image."""
    if not out.size:
        return
    index, top, left = (array.astype(np.int64, copy=False) for array in (index, top, left))
    sizes = *grid.ints(*mean.shape, padding), mean.dtype.type(scale)
    expression = f"augment<{grid.real(mean)}>"
    cuda.launch("batch.cuh", expression, len(index), grid.THREADS, images, index, mean, top, left, flip, out, *sizes)


@kernel("next_batch", "cupy", device="cuda")
def next_batch(
    images: Array, labels: Array, order: Array, mean: Array, at: Array, *, count: int, batch: int, per_epoch: int,
    seed: int, padding: int, flip: bool, scale: float, out: tuple[Array, Array],
) -> None:  # fmt: skip
    """The batch of step at[0], the bits of data/loader.py."""
    key = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)
    cuda.launch(
        "batch.cuh", f"next_batch<{grid.real(mean)}>", count, grid.THREADS, images, labels, order, mean, at, *out,
        np.int64(len(images)), *grid.ints(*mean.shape, batch, per_epoch), *key, *grid.ints(padding, flip),
        mean.dtype.type(scale),
    )  # fmt: skip
