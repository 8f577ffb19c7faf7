"""A split in the memory of a GPU, and its batches made there by one kernel, `next_batch`.

The kernel finds all that changes from step to step in that memory: the number of the step, and the order of the images
in this epoch and the next (row e % 2 for epoch e, so that one can be written while the other is read). So a captured
step makes its own batches; and they are those of the CPU, bit for bit.

Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.data.order import permutation
from tinyres.kernels.launch import Array, launch, moved


class Resident:
    """Images, labels, mean and order of a split on the device "cuda".

    Parameters
    ----------
    images : ndarray of uint8, shape [M, H, W, C]
    labels : ndarray of int64, shape [M]
    mean : ndarray, shape [H, W, C]
    batch : int
    shuffled : bool
        Whether an epoch shows the images in the order of its permutation, or always as they lie.
    seed : int
    **settings
        Of the kernel: scale, padding, flip.

    Attributes
    ----------
    at : array of int64, shape [1]
        Number of the step whose batch comes next, counted over all epochs.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        mean: NDArray[Any],
        *,
        batch: int,
        shuffled: bool,
        seed: int,
        **settings: Any,
    ) -> None:
        self.images, self.labels, self.mean = (moved(np.ascontiguousarray(a), "cuda") for a in (images, labels, mean))
        self.count, self.batch, self.shuffled, self.seed = len(images), batch, shuffled, seed
        self.per_epoch = -(-self.count // batch)
        self.settings = settings
        self.order: Array = moved(np.tile(np.arange(self.count), (2, 1)), "cuda")
        self.at: Array = moved(np.zeros(1, np.int64), "cuda")
        self._epochs: list[int | None] = [None, None]  # whose order is in either row

    def prepare(self, epoch: int) -> None:
        """See to it that the order of an epoch is there: work for the host, while the GPU is at the epoch before."""
        if self.shuffled and self._epochs[epoch % 2] != epoch:
            self.order[epoch % 2].set(permutation(self.seed, epoch, self.count))
            self._epochs[epoch % 2] = epoch

    def seek(self, step: int) -> None:
        """Go to a step, and prepare its epoch."""
        self.prepare(step // self.per_epoch)
        self.at.fill(step)

    def images_of(self, step: int) -> int:
        """How many images the batch of a step holds: the last one of an epoch has what is left."""
        return min(self.batch, self.count - step % self.per_epoch * self.batch)

    def next(self, count: int) -> tuple[Array, Array]:
        """X [count,H,W,C] and labels [count] of step `at`, whose epoch is prepared; `at` stays where it is."""
        batch: tuple[Array, Array] = launch(
            "next_batch", self.images, self.labels, self.order, self.mean, self.at,
            count=count, batch=self.batch, per_epoch=self.per_epoch, seed=self.seed, **self.settings,
        )  # fmt: skip
        return batch
