"""Random words as pure functions of (seed, epoch, place), and what augmentation draws from them.

    counter = (place, epoch, stream, 0)        key = (low, high) 32 bits of the seed
    words   = philox4x32(counter, key)

    crop    offset = floor(word * m / 2^32) with m = 2*padding + 1 offsets: words 0 (top) and 1 (left)
    flip    the highest bit of word 2

A family of words that must not repeat another's has a stream of its own. No generator is kept, so nothing needs saving:
a resumed run, another process or a GPU thread computes the same integers from the same numbers.

The crop's multiply and shift is off from uniform by less than m / 2^32 of a probability of 1/m (for m = 9, by one part
in 4.8e8), far below what 10^9 draws could show, and, unlike rejection, takes exactly one word (Lemire, "Fast random
integer generation in an interval", ACM TOMACS 2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import ConfigError
from tinyres.kernels.philox import philox4x32

# of the order of an epoch, of crops and mirroring, of the validation split, of dropout masks
PERMUTATION, AUGMENT, SPLIT, DROPOUT = range(4)
WORD = 1 << 32


def words(seed: int, epoch: int, places: NDArray[np.int64], stream: int) -> NDArray[np.uint64]:
    """Four random 32-bit words for each place: [N] -> [N, 4], widened so that products are exact."""
    for what, value, limit in (("seed", seed, WORD * WORD), ("epoch", epoch, WORD)):
        if not 0 <= value < limit:
            raise ConfigError(f"{what} must be from 0 to 2**{limit.bit_length() - 1} - 1, got {value}.")
    counter = np.zeros((len(places), 4), np.uint32)
    counter[:, 0] = places
    counter[:, 1] = epoch
    counter[:, 2] = stream
    return philox4x32(counter, (seed % WORD, seed // WORD)).astype(np.uint64)


def crops_and_flips(
    seed: int, epoch: int, positions: NDArray[np.int64], padding: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Where to crop the padded image at each position of an epoch, and whether to mirror it.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.
    epoch : int
        From 0 to 2**32 - 1.
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
    drawn = words(seed, epoch, positions, AUGMENT)
    offsets = (drawn[:, :2] * np.uint64(2 * padding + 1) >> np.uint64(32)).astype(np.int64)
    return offsets[:, 0], offsets[:, 1], drawn[:, 2] >= WORD // 2
