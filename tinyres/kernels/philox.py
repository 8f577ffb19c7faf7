"""Philox4x32-10: random integers as a pure function of a counter and a key, no state anywhere.

A counter of four 32-bit words (a b c d) goes through ten rounds; with the key (k l) a round is

    a*0xD2511F53 = (hi0, lo0)      c*0xCD9E8D57 = (hi1, lo1)      as 64-bit products, split into 32-bit halves
    (a, b, c, d) <- (hi1 ^ b ^ k, lo1, hi0 ^ d ^ l, lo0)

and before each further round k += 0x9E3779B9, l += 0xBB67AE85 (modulo 2^32). The four words that come out pass the
BigCrush battery of tests. Because word n of a stream depends on nothing but its counter, any process or GPU thread
computes it alone: batches are identical on one process and on many, and a resumed run needs no saved generator.

Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011; Random123.
Cost: 20 multiplications of 32 by 32 bits for 16 random bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import DtypeError, ShapeError

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
WORD = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox4x32(counter: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Encrypt every counter with the key: four random 32-bit words for each.

    Parameters
    ----------
    counter : ndarray of uint32, shape [..., 4]
        One counter in each row. Equal counters give equal words, distinct ones distinct words.
    key : (int, int)
        Two words of 32 bits, the low one first. A seed of 64 bits is ``(seed & 0xFFFFFFFF, seed >> 32)``.

    Returns
    -------
    ndarray of uint32, shape [..., 4]

    Raises
    ------
    DtypeError, ShapeError
        Counters of another type, or whose last axis is not 4.

    Examples
    --------
    >>> philox4x32(np.zeros(4, np.uint32), key=(0, 0))
    array([1713891541, 3781805453, 3159862348, 2600524760], dtype=uint32)
    """
    if counter.dtype != np.uint32:
        raise DtypeError(f"philox4x32: counters must be uint32, got {counter.dtype}; use astype(numpy.uint32).")
    if counter.ndim == 0 or counter.shape[-1] != 4:
        raise ShapeError(f"philox4x32: counters must have the shape [..., 4], got {list(counter.shape)}.")
    a, b, c, d = np.moveaxis(counter.astype(np.uint64), -1, 0)
    low, high = key
    for _ in range(ROUNDS):
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]  # both below 2^64: exact
        a, b, c, d = (
            (right >> HALF) ^ b ^ np.uint64(low),
            right & WORD,
            (left >> HALF) ^ d ^ np.uint64(high),
            left & WORD,
        )
        low, high = (low + KEY_STEPS[0]) & 0xFFFFFFFF, (high + KEY_STEPS[1]) & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=-1).astype(np.uint32)
