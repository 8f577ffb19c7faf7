"""The order of an epoch and the augmentation of an image, as pure functions of (seed, epoch, position).

    counter = (position, epoch, stream, 0)        key = (low, high) 32 bits of the seed
    words   = philox4x32(counter, key)

`position` is the place in the epoch: 0 for the first image that it shows, 1 for the second. No generator is kept, so
nothing needs saving: a resumed run, another process or a GPU thread computes the same integers from the same numbers.

    permutation   positions sorted by 64 random bits each (words 0 and 1), ties by position
    crop          offset = floor(word * m / 2^32) with m = 2*padding + 1 offsets: words 0 (top) and 1 (left)
    flip          the highest bit of word 2

The crop's multiply and shift is off from uniform by less than m / 2^32 of a probability of 1/m (for m = 9, by one part
in 4.8e8), far below what 10^9 draws could show, and, unlike rejection, takes exactly one word (Lemire, "Fast random
integer generation in an interval", ACM TOMACS 2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import ConfigError
from tinyres.kernels.philox import philox4x32

PERMUTATION, AUGMENT, SPLIT, DROPOUT = range(4)  # streams; dropout masks draw from the last one, elsewhere
WORD = 1 << 32


def _words(seed: int, epoch: int, positions: NDArray[np.int64], stream: int) -> NDArray[np.uint64]:
    """Four random 32-bit words for each position: [N] -> [N, 4], widened so that products are exact."""
    for what, value, limit in (("seed", seed, WORD * WORD), ("epoch", epoch, WORD)):
        if not 0 <= value < limit:
            raise ConfigError(f"{what} must be from 0 to 2**{limit.bit_length() - 1} - 1, got {value}.")
    counter = np.zeros((len(positions), 4), np.uint32)
    counter[:, 0] = positions
    counter[:, 1] = epoch
    counter[:, 2] = stream
    return philox4x32(counter, (seed % WORD, seed // WORD)).astype(np.uint64)


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
    words = _words(seed, epoch, np.arange(n), stream)
    return np.argsort(words[:, 0] | words[:, 1] << np.uint64(32), kind="stable").astype(np.int64)


def crops_and_flips(
    seed: int, epoch: int, positions: NDArray[np.int64], padding: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Where to crop the padded image at each position of an epoch, and whether to mirror it.

    Parameters
    ----------
    seed, epoch : int
        As in `permutation`.
    positions : ndarray of int64, shape [N]
        Places in the epoch, in any order and number: each gets the same answer in whatever company.
    padding : int
        Zeros around the image.

    Returns
    -------
    top, left : ndarray of int64, shape [N]
        Offset of the crop in the padded image, 0 ... 2*padding; `padding` leaves the image where it was.
    flip : ndarray of bool, shape [N]
        Left and right exchanged.
    """
    words = _words(seed, epoch, positions, AUGMENT)
    offsets = (words[:, :2] * np.uint64(2 * padding + 1) >> np.uint64(32)).astype(np.int64)
    return offsets[:, 0], offsets[:, 1], words[:, 2] >= WORD // 2


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
