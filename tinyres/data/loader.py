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
from tinyres.data.resident import Resident
from tinyres.data.sets import Split
from tinyres.errors import ConfigError, ShapeError
from tinyres.kernels.launch import launch
from tinyres.kernels.streams import crops_and_flips

Batch = tuple[Any, Any]  # x [n, H, W, C] and int64 labels [n], arrays of the loader's device


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
    device : {"cpu", "cuda"}
        Where the batches are made, bit for bit the same ones. On a GPU the split is copied there at first use.

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
        device: str = "cpu",
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
        self.device = device
        self._resident: dict[bool, Resident] = {}

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
        if self.device != "cpu":
            yield from self._on_device(self.resident(shuffled=True), epoch * self.steps_per_epoch, start)
            return
        order = permutation(self.seed, epoch, len(self.split))
        for positions in self._positions(start):
            top, left, flip = crops_and_flips(self.seed, epoch, positions, self.padding)
            yield self._make(order[positions], top, left, flip & self.flip)

    def in_order(self) -> Iterator[Batch]:
        """Yield every image once as it is, in the order of the split: for evaluation. Shapes as in `batches`."""
        if self.device != "cpu":
            yield from self._on_device(self.resident(shuffled=False), 0, 0)
            return
        for positions in self._positions(0):
            still = np.full(len(positions), self.padding)
            yield self._make(positions, still, still, np.zeros(len(positions), np.bool_))

    def resident(self, *, shuffled: bool) -> Resident:
        """The split on the GPU, which makes the batches of training (`shuffled`) or those of evaluation."""
        if shuffled not in self._resident:
            self._resident[shuffled] = Resident(
                self.split.images,
                self.split.labels,
                self.mean,
                batch=self.batch,
                shuffled=shuffled,
                seed=self.seed,
                scale=self.scale,
                padding=self.padding if shuffled else 0,
                flip=self.flip and shuffled,
            )
        return self._resident[shuffled]

    def _on_device(self, resident: Resident, first: int, start: int) -> Iterator[Batch]:
        for positions in self._positions(start):
            resident.seek(first + int(positions[0]) // self.batch)
            yield resident.next(len(positions))

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
