"""The order of an epoch and the validation split, as pure functions of (seed, epoch).

    permutation   positions sorted by 64 random bits each (words 0 and 1 of `kernels/streams.py`), ties by position

`position` is the place in the epoch: 0 for the first image that it shows, 1 for the second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyres.kernels.streams import PERMUTATION, SPLIT, words


def permutation(seed: int, epoch: int, n: int, *, stream: int = PERMUTATION) -> NDArray[np.int64]:
    """Order in which an epoch shows n images.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.
    epoch : int
        From 0 to 2**32 - 1.
    n : int
        Number of images, below 2**32.
    stream : int
        Which family of random words to draw from.

    Returns
    -------
    ndarray of int64, shape [n]
        Each of 0 ... n-1 once.

    Raises
    ------
    ConfigError
        A seed or an epoch out of range.
    """
    drawn = words(seed, epoch, np.arange(n), stream)
    return np.argsort(drawn[:, 0] | drawn[:, 1] << np.uint64(32), kind="stable").astype(np.int64)


def split_indices(n: int, held_out: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two disjoint parts of 0 ... n-1: the last `held_out` of a seeded permutation, and the rest.

    Parameters
    ----------
    n, held_out : int
        Number of all images, and of those to hold out.
    seed : int
        From 0 to 2**64 - 1.

    Returns
    -------
    kept, held : ndarray of int64, shapes [n - held_out] and [held_out]
        Each in ascending order, so that images are read front to back.
    """
    order = permutation(seed, 0, n, stream=SPLIT)
    return np.sort(order[: n - held_out]), np.sort(order[n - held_out :])
