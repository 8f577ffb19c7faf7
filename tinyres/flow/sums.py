"""Compiled sums over whole arrays, one pass each, on all cores; `statistics.py` says what they are for.

Values are taken in pieces of fixed size whose sums are added in order, so the result does not depend on the number of
threads. Sums are float64. The largest |value|, zeros and non-finite values are found from the bits: without the sign
they order like the numbers, infinity after all finite ones and NaN after infinity; so the compiler can use vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tinyres.kernels.on_numba.threads import share

Array = Any
PIECE = 1 << 12  # stays in the first cache between its two loops
OPERATIONS = 4  # rough cost of a value
BITS = {np.dtype(np.float32): (np.int32, 0x7F800000), np.dtype(np.float64): (np.int64, 0x7FF0000000000000)}


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _moments(start, stop, x, bits, sign, infinity, sums, largest, counts):  # type: ignore[no-untyped-def]
    word_of = bits.dtype.type  # keeps words as narrow as they are: Numba would compute with 64 bits
    for piece in range(start, stop):
        part = slice(piece * PIECE, (piece + 1) * PIECE)
        values, words = x[part], bits[part]
        total, square = 0.0, 0.0
        for k in range(len(values)):
            value = np.float64(values[k])
            total += value
            square += value * value
        top, zeros = word_of(0), np.int32(0)
        for k in range(len(words)):
            word = word_of(words[k] & sign)
            top = word if word > top else top
            zeros = np.int32(zeros + (word == 0))
        nonfinite = 0
        if top >= infinity:
            for k in range(len(words)):
                nonfinite += (words[k] & sign) >= infinity
        sums[piece, 0], sums[piece, 1] = total, square
        largest[piece] = top
        counts[piece, 0], counts[piece, 1] = zeros, nonfinite


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _products(start, stop, a, factor, shift, b, whole, sums):  # type: ignore[no-untyped-def]
    for piece in range(start, stop):
        part = slice(piece * PIECE, (piece + 1) * PIECE)
        p, q, w = a[part], b[part], whole[part]
        f, s = factor[: len(p)], shift[: len(p)]
        sum_a = sum_b = aa = bb = ab = rest = 0.0
        for k in range(len(p)):
            u, v = np.float64(p[k]) * f[k] + s[k], np.float64(q[k])
            gap = np.float64(w[k]) - (u + v)
            sum_a += u
            sum_b += v
            aa += u * u
            bb += v * v
            ab += u * v
            rest += gap * gap
        sums[piece] = np.array([sum_a, sum_b, aa, bb, ab, rest])


def moments(x: Array) -> tuple[float, float, float, int, int]:
    """Sum, sum of squares, largest |value|, number of zeros, number of values that are not finite."""
    values = x.reshape(-1)
    kind, infinity = BITS[values.dtype]
    bits = values.view(kind)
    pieces = -(-values.size // PIECE)
    sums, counts = np.empty((pieces, 2)), np.empty((pieces, 2), np.int64)
    largest = np.empty(pieces, kind)
    sign = (1 << (8 * values.itemsize - 1)) - 1  # all bits but that of the sign
    arguments = values, bits, kind(sign), kind(infinity), sums, largest, counts
    if pieces == 1 and values.flags.writeable:  # most parameters: no sum over pieces, no threads
        _moments(0, 1, *arguments)
        (total, square), (zeros, nonfinite) = sums[0].tolist(), counts[0].tolist()
    else:
        share(_moments, pieces, OPERATIONS * values.size, *arguments)
        (total, square), (zeros, nonfinite) = sums.sum(axis=0).tolist(), counts.sum(axis=0).tolist()
    return total, square, float(largest.view(values.dtype)[largest.argmax()]), zeros, nonfinite


def products(a: Array, b: Array, whole: Array, factor: Array, shift: Array) -> NDArray[np.float64]:
    """Sums of a', b, a'^2, b^2, a'b and (whole - (a' + b))^2, in this order; a' = factor a + shift, both [C].

    C must divide `PIECE`.
    """
    first, second, third = (array.reshape(-1) for array in (a, b, whole))
    lines = [np.resize(line.astype(np.float64), PIECE) for line in (factor, shift)]
    pieces = -(-first.size // PIECE)
    sums = np.empty((pieces, 6))
    share(_products, pieces, OPERATIONS * first.size, first, *lines, second, third, sums)
    total: NDArray[np.float64] = sums.sum(axis=0)
    return total
