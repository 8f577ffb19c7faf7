"""What a record keeps of an array of n values, whatever its size; sums run in float64.

    norm  sqrt(sum x^2)      rms   sqrt(sum x^2 / n)      max   largest |x|      zeros   fraction of x = 0
    mean  sum x / n          std   sqrt(sum x^2 / n - mean^2)                    nonfinite   how many are inf or NaN

and of the two parts a, b of a whole w: the deviations of a, b and a + b, norms, cosine, and |w - (a + b)| / |w|.

Arrays of a CPU are read once, by compiled code (`sums.py`); where that cannot run, and on a GPU, by the array library.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from tinyres.kernels import on_numba
from tinyres.kernels.launch import Array


@dataclass(frozen=True)
class Summary:
    """Statistics of one array; see the top of the file."""

    norm: float
    rms: float
    max: float
    zeros: float
    mean: float
    std: float
    nonfinite: int


@dataclass(frozen=True)
class Parts:
    """Statistics of two arrays a, b and of a whole that should be their sum."""

    std_a: float
    std_b: float
    std_sum: float
    norm_a: float
    norm_b: float
    cosine: float
    gap: float  # |whole - (a + b)|


@functools.cache
def _compiled() -> bool:
    return on_numba.missing() is None


def summary(x: Array) -> Summary:
    """Statistics of an array of at least one value: floating, on any device."""
    with np.errstate(all="ignore"):  # overflow and NaN are what one looks for
        if _suits(x):
            from tinyres.flow.sums import moments

            total, square, largest, zeros, nonfinite = moments(np.ascontiguousarray(x))
        else:
            total, square, largest, zeros, nonfinite = _moments(x)
        mean = total / x.size
        return Summary(
            norm=_root(square),
            rms=_root(square / x.size),
            max=largest,
            zeros=zeros / x.size,
            mean=mean,
            std=_root(square / x.size - mean * mean),
            nonfinite=nonfinite,
        )


def parts(a: Array, b: Array, whole: Array, scaled: tuple[Array, Array] | None = None) -> Parts:
    """Statistics of two parts of a whole, all of one shape, type and device.

    `scaled`, factor and shift [C] in float64, stands for factor a + shift in place of a, without making that.
    """
    with np.errstate(all="ignore"):
        if all(map(_suits, (a, b, whole))):
            from tinyres.flow.sums import PIECE, products

            factor, shift = (np.ones(1), np.zeros(1)) if scaled is None else scaled
            if PIECE % len(factor):  # its channels do not come round in a piece
                a, factor, shift = (a * factor + shift).astype(a.dtype), np.ones(1), np.zeros(1)
            a, b, whole = map(np.ascontiguousarray, (a, b, whole))
            sums = products(a, b, whole, factor, shift)
        else:
            a = a if scaled is None else a * scaled[0] + scaled[1]
            sums = np.array(_products(a, b, whole))
        sum_a, sum_b, aa, bb, ab, rest = (float(value) for value in sums)
        n = a.size
        norms = _root(aa) * _root(bb)
        return Parts(
            std_a=_root(aa / n - (sum_a / n) ** 2),
            std_b=_root(bb / n - (sum_b / n) ** 2),
            std_sum=_root((aa + bb + 2 * ab) / n - ((sum_a + sum_b) / n) ** 2),
            norm_a=_root(aa),
            norm_b=_root(bb),
            cosine=ab / norms if norms else math.nan,
            gap=_root(rest),
        )


def _root(value: float) -> float:
    """The square root; 0 of what only rounding has made negative, NaN of NaN."""
    return math.sqrt(value) if value > 0 else value if math.isnan(value) else 0.0


def _suits(x: Array) -> bool:
    return isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64) and x.dtype.isnative and _compiled()


def _moments(x: Array) -> tuple[float, float, float, int, int]:
    wide = x.astype(np.float64)  # NumPy's functions find the library of the array
    return (
        float(wide.sum()),
        float((wide * wide).sum()),
        float(np.abs(x).max()),
        int((x == 0).sum()),
        int((~np.isfinite(x)).sum()),
    )


def _products(a: Array, b: Array, whole: Array) -> tuple[float, ...]:
    a, b, whole = (array.astype(np.float64) for array in (a, b, whole))
    gap = whole - (a + b)
    return tuple(float(v.sum()) for v in (a, b, a * a, b * b, a * b, gap * gap))
