"""Batches: pixels / 255 minus the mean, zeros around, a random crop, perhaps mirrored.

Batch b of epoch e holds the images at positions b*batch ... of the epoch's permutation (`order.py`), augmented by the
integers of those positions (`kernels/streams.py`): a pure function of (seed, epoch, b). So training may stop anywhere
and continue at any batch, and how images are grouped into batches changes nothing about any of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinyres.data.order import permutation
from tinyres.data.sets import Split
from tinyres.errors import ConfigError, ShapeError
from tinyres.kernels.launch import launch
from tinyres.kernels.streams import crops_and_flips

Batch = tuple[NDArray[Any], NDArray[np.int64]]  # x [n, H, W, C] and labels [n]


class Loader:
    """Batches of a split, shuffled and augmented for training or in order for evaluation.

    Parameters
    ----------
    split : Split
        Images [N, H, W, C] and labels [N].
    mean : ndarray, shape [H, W, C]
        Subtracted after scaling; of the training part, see `pixel_mean`.
    scale : float
        What a pixel is multiplied with.
    batch : int
        Images in a batch; the last one of an epoch holds what is left.
    seed : int
        From 0 to 2**64 - 1.
    padding : int
        Zeros around the image, from which a part of the original size is cropped at random; 0: no crop.
    flip : bool
        Exchange left and right of every other image at random.
    dtype : dtype
        float32 or float64.

    Raises
    ------
    ShapeError, ConfigError
        A mean that does not fit the images; a batch below 1 or a padding below 0.
    """

    def __init__(
        self,
        split: Split,
        *,
        mean: NDArray[Any],
        scale: float,
        batch: int,
        seed: int,
        padding: int = 0,
        flip: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if mean.shape != split.images.shape[1:]:
            raise ShapeError(f"the mean is {list(mean.shape)}, the images are {list(split.images.shape[1:])}.")
        if batch < 1 or padding < 0:
            raise ConfigError(f"batch must be 1 or more and padding 0 or more, got batch {batch}, padding {padding}.")
        self.split = split
        self.mean = np.ascontiguousarray(mean, dtype)
        self.scale = scale
        self.batch = batch
        self.seed = seed
        self.padding = padding
        self.flip = flip

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, the last, shorter one included."""
        return -(-len(self.split) // self.batch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number `start` on, shuffled and augmented.

        Parameters
        ----------
        epoch : int
            From 0.
        start : int
            First batch to make; those before it cost nothing.

        Yields
        ------
        x : ndarray of dtype, shape [n, H, W, C]
        labels : ndarray of int64, shape [n]
        """
        order = permutation(self.seed, epoch, len(self.split))
        for positions in self._positions(start):
            top, left, flip = crops_and_flips(self.seed, epoch, positions, self.padding)
            yield self._make(order[positions], top, left, flip & self.flip)

    def in_order(self) -> Iterator[Batch]:
        """Yield every image once as it is, in the order of the split: for evaluation. Shapes as in `batches`."""
        for positions in self._positions(0):
            still = np.full(len(positions), self.padding)
            yield self._make(positions, still, still, np.zeros(len(positions), np.bool_))

    def _positions(self, start: int) -> Iterator[NDArray[np.int64]]:
        if not 0 <= start <= self.steps_per_epoch:
            raise ConfigError(f"an epoch has batches 0 to {self.steps_per_epoch - 1}, cannot start at {start}.")
        for first in range(start * self.batch, len(self.split), self.batch):
            yield np.arange(first, min(first + self.batch, len(self.split)))

    def _make(
        self, index: NDArray[np.int64], top: NDArray[np.int64], left: NDArray[np.int64], flip: NDArray[np.bool_]
    ) -> Batch:
        x = launch(
            "augment", self.split.images, index, self.mean, top, left, flip, scale=self.scale, padding=self.padding
        )
        return x, self.split.labels[index]
