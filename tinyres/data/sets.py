"""What a data set is: uint8 images, channels last, with integer labels, in a training and a test part.

    x = pixel * scale - mean            scale 1/255 (digits 1/16), mean of the training part for each pixel

Pixels stay bytes until a batch is made, a quarter of the memory of float32; the kernel `augment` converts them.
Everything that enters is checked here once, so that nothing behind this door meets a wrong shape or label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinyres.data.order import split_indices
from tinyres.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Attributes
    ----------
    images : ndarray of uint8, shape [N, H, W, C]
        Pixels, channels last; N is at least 1.
    labels : ndarray of int64, shape [N]
        Class of each image, from 0.

    Raises
    ------
    DataError
        Another dtype or shape, channels first, lengths that differ, a negative label.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_images(self.images)
        if self.labels.ndim != 1 or self.labels.dtype != np.int64:
            raise DataError(
                f"labels must be int64 [N], one class number for each image, got {self.labels.dtype} "
                f"{list(self.labels.shape)}; of one-hot rows take argmax(axis=1)."
            )
        if len(self.labels) != len(self.images):
            raise DataError(f"{len(self.images)} images {list(self.images.shape)} but {len(self.labels)} labels.")
        check_labels(self.labels, None, "labels")

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def take(self, index: NDArray[np.int64]) -> Split:
        """Copy the images at `index` [M], with their labels."""
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test part of one task.

    Attributes
    ----------
    name : str
    train, test : Split
        Images of one shape [H, W, C].
    classes : tuple of str
        Name of each class; labels count from 0 to ``len(classes) - 1``.
    scale : float
        What a pixel is multiplied with: 1/255 for full bytes.

    Raises
    ------
    DataError
        Parts whose images differ in shape, a label beyond the classes (with its index and value), a scale that is not
        positive.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    scale: float

    def __post_init__(self) -> None:
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            raise DataError(
                f"{self.name}: training images are {list(self.train.images.shape[1:])} and test images "
                f"{list(self.test.images.shape[1:])}; bring them to one size."
            )
        for part in ("train", "test"):
            check_labels(getattr(self, part).labels, len(self.classes), f"{self.name}, {part}")
        if not 0 < self.scale < np.inf:
            raise DataError(f"{self.name}: scale must be a positive number such as 1/255, got {self.scale}.")


def check_images(images: NDArray[Any]) -> None:
    """Refuse whatever is not a batch of uint8 images, channels last, with the remedy."""
    shape = list(images.shape)
    if images.ndim == 3:
        raise DataError(f"images must be [N, H, W, C], got {shape}; images[..., None] adds the channel of grey ones.")
    if images.ndim != 4:
        raise DataError(f"images must be [N, H, W, C], got {shape}.")
    if shape[1] in (1, 3, 4) and shape[3] > 4:
        raise DataError(
            f"images {shape} are channels first, tinyres wants channels last [N, H, W, C]: "
            "numpy.moveaxis(images, 1, -1) turns them."
        )
    if not images.size:
        raise DataError(f"images {shape} hold no pixel: at least one image is needed.")
    if images.dtype != np.uint8:
        raise DataError(
            f"images must be uint8 from 0 to 255, got {images.dtype}; floats from 0 to 1 become that by "
            "(images * 255).round().astype(numpy.uint8)."
        )


def check_labels(labels: NDArray[np.int64], classes: int | None, where: str) -> None:
    """Refuse a label below 0, or not below the number of classes, naming the first one."""
    wrong = np.flatnonzero((labels < 0) if classes is None else (labels < 0) | (labels >= classes))
    if wrong.size:
        bound = "0 or more" if classes is None else f"from 0 to {classes - 1}"
        raise DataError(f"{where}: label {labels[wrong[0]]} at index {wrong[0]} is out of range, labels are {bound}.")


def hold_out(split: Split, fraction: float = 0.1, seed: int = 0) -> tuple[Split, Split]:
    """Set a validation part aside: the last `fraction` of a seeded permutation (45,000 and 5,000 of 50,000).

    Parameters
    ----------
    split : Split
        Usually the training part.
    fraction : float
        Share of the images, rounded to whole ones, between 0 and 1.
    seed : int
        From 0 to 2**64 - 1; the same seed gives the same parts.

    Returns
    -------
    train, validation : Split
        Copies, disjoint, together all of `split`.

    Raises
    ------
    ConfigError
        A fraction that leaves one of the parts empty.
    """
    count = round(len(split) * fraction) if 0 < fraction < 1 else 0
    if not 0 < count < len(split):
        raise ConfigError(
            f"a validation fraction of {fraction} of {len(split)} images leaves a part empty; "
            "choose one between 0 and 1, such as 0.1."
        )
    kept, held = split_indices(len(split), count, seed)
    return split.take(kept), split.take(held)


def pixel_mean(split: Split, scale: float, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Mean of each scaled pixel over the images; of the training part, it is what every image is centred by.

    The sum is taken in integers, so it is exact and the same in whatever order; the division is float64.

    Parameters
    ----------
    split : Split
        Images [N, H, W, C].
    scale : float
        What a pixel is multiplied with.
    dtype : dtype
        Type of the answer.

    Returns
    -------
    ndarray of dtype, shape [H, W, C]
    """
    total = split.images.sum(axis=0, dtype=np.int64)
    mean: NDArray[Any] = (total / len(split) * scale).astype(dtype)
    return mean


def from_arrays(
    images: Any,
    labels: Any,
    test_images: Any,
    test_labels: Any,
    *,
    classes: tuple[str, ...] | None = None,
    name: str = "arrays",
    scale: float = 1 / 255,
) -> Dataset:
    """Make a data set of one's own arrays.

    Parameters
    ----------
    images, test_images : array_like of uint8, shapes [N, H, W, C] and [M, H, W, C]
    labels, test_labels : array_like of integers, shapes [N] and [M]
        Class numbers from 0; any integer type, or a list.
    classes : tuple of str, optional
        Names of the classes; without them "0", "1" ... up to the largest label.
    name : str
        What messages call it.
    scale : float
        What a pixel is multiplied with.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        Channels first, another dtype, lengths that differ, a label out of range: each with the remedy.

    Examples
    --------
    >>> images = np.zeros((4, 8, 8, 3), np.uint8)
    >>> from_arrays(images, [0, 1, 2, 1], images[:2], [0, 2]).classes
    ('0', '1', '2')
    """
    train, test = (Split(np.asarray(x), _integers(y)) for x, y in ((images, labels), (test_images, test_labels)))
    if classes is None:
        classes = tuple(map(str, range(int(max(train.labels.max(), test.labels.max())) + 1)))
    return Dataset(name, train, test, tuple(classes), scale)


def _integers(labels: Any) -> NDArray[Any]:
    """Labels as int64; other kinds than integers pass through for `Split` to refuse by name."""
    array = np.asarray(labels)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array
