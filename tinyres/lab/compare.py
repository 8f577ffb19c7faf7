"""Is a result right? And if not: the gap between what was got and what was expected, in one sentence.

An entry may be off by `SLACK * sqrt(terms) * eps` times the scale of its result: rounding errors of a sum of `terms`
products grow like its root when they are independent (Higham, "Accuracy and Stability of Numerical Algorithms", section
2.8), whatever the order of the sum, so loops, einsum and matrix products all pass. One forgotten term of a thousand is
a thousand times as much.

What is compared came from somebody else's program: nothing here trusts its type, shape or values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.lab.task import Array, Case, Results

SLACK = 16.0
AXES = {
    ("filters", "last"): ("filter row", "filter column", "input channel", "filter"),  # [R, S, C, F]
    ("filters", "first"): ("filter", "input channel", "filter row", "filter column"),  # [F, C, R, S]
    ("images", "last"): ("sample", "row", "column", "channel"),  # [N, H, W, C]
    ("images", "first"): ("sample", "channel", "row", "column"),  # [N, C, H, W]
}
FILTERS = ("w", "dw", "filters")


def seen_dtype(case: Case, expected: Array) -> np.dtype[Any]:
    """The type in which a result is wanted: that of the case, or the reference's own for integers and truth values."""
    own = np.asarray(expected).dtype
    return np.dtype(case.dtype) if own.kind == "f" else own


def shapes(case: Case, expected: Results) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of each result, for who allocates them."""
    return {name: (np.shape(array), seen_dtype(case, array).name) for name, array in expected.items()}


def tolerance(case: Case, expected: Array, terms: float) -> float:
    """The largest error allowed of an entry, absolute.

    The scale is that of the largest entry. The fewer entries there are, the likelier it is that all are small because
    their terms happened to cancel, and they are then no more exact for it: hence the part of the largest input.
    """
    if np.asarray(expected).dtype.kind != "f":
        return 0.0
    inputs = max(map(largest, case.arrays.values()), default=0.0)
    scale = max(largest(expected), inputs / max(np.size(expected), 1))
    return float(SLACK * math.sqrt(max(terms, 1.0)) * np.finfo(case.dtype).eps * scale)


def largest(array: Array) -> float:
    """The largest magnitude among the finite entries; 0 if there are none."""
    values = np.abs(np.asarray(array, np.float64))
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))


def differs(expected: Array, got: Array, allowed: float) -> Array:
    """Where two arrays of one shape differ by more than is allowed; NaN equals NaN, and infinity itself only."""
    with np.errstate(all="ignore"):
        near = np.abs(np.asarray(got, np.float64) - expected) <= allowed  # False wherever either is not finite
        return ~(near | (got == expected) | (np.isnan(got) & np.isnan(expected)))


def form(case: Case, name: str, expected: Array, got: Array | None) -> str:
    """What is wrong with the shape or the type of a result, in a sentence; "" if nothing is."""
    wanted, dtype = np.shape(expected), seen_dtype(case, expected)
    if got is None:
        return f"{name}: nothing came back; an array {list(wanted)} of {dtype} was expected"
    array = np.asarray(got)
    fits = array.dtype == dtype or (dtype.kind in "iub" and array.dtype.kind in "iub")
    if array.shape == wanted and fits:
        return ""
    said = f"{name}: got {_described(array, fits)}, expected {_described(np.empty(wanted, dtype), fits)}"
    if array.shape == wanted and array.dtype.kind == "f":
        return f"{said}; a result has the type of the inputs"
    return said


def _described(array: Array, fits: bool) -> str:
    """Shape, with the type if that is what is wrong."""
    return f"shape {array.shape}" if fits else f"{array.dtype} of shape {array.shape}"


def wrong(case: Case, expected: Results, got: Results, terms: float) -> tuple[str, ...]:
    """The names of the results that are not what they should be, in the order of the reference.

    Parameters
    ----------
    case : Case
    expected : dict
        What the reference says, in float64.
    got : dict
        What came back: anything.
    terms : float
        How many terms the longest sum has.

    Returns
    -------
    tuple of str
    """
    found = []
    for name, right in expected.items():
        array = got.get(name)
        if form(case, name, right, array) or differs(right, array, tolerance(case, right, terms)).any():
            found.append(name)
    return tuple(found)


def gap(case: Case, expected: Results, got: Results, names: Sequence[str], terms: float = 1.0) -> str:
    """Got and expected at the worst entry of the first wrong result, how many entries differ, and where.

    Parameters
    ----------
    case, expected, got, terms
        As for `wrong`.
    names : sequence of str
        What that found.

    Returns
    -------
    str
        Such as ``dw[3,0,0,2]: got +15.1914, expected -14.7000; 89 % of entries differ (all filters)``.
    """
    name = names[0]
    right = np.asarray(expected[name])
    others = f"; {' and '.join(names[1:])} {'is' if len(names) == 2 else 'are'} wrong too" if names[1:] else ""
    if said := form(case, name, right, got.get(name)):
        return said + others
    array = np.asarray(got[name])
    mask = differs(right, array, tolerance(case, right, terms))
    index = worst(right, array, mask)
    place = f"[{','.join(map(str, index))}]" if index else ""
    count = int(mask.sum())
    few = mask.size < 20 or count < 0.1 * mask.size
    share = f"{count} of {mask.size} entries" if few else f"{100 * count / mask.size:.0f} % of entries"
    said = f"{name}{place}: got {number(array[index])}, expected {number(right[index])}"
    if mask.size > 1:
        said += f"; {share} differ{_spread(axes(case, name, mask.ndim), mask)}"
    return said + others


def worst(expected: Array, got: Array, mask: Array) -> tuple[int, ...]:
    """The index of what is not a number (for argmax, NaN is the largest), or else of the largest error."""
    with np.errstate(all="ignore"):
        error = np.where(mask, np.abs(np.asarray(got, np.float64) - expected), -1.0)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape))


def number(value: Array) -> str:
    """With its sign and six digits; whole numbers and truth values as they are."""
    value = np.asarray(value)
    if value.dtype.kind != "f":
        return str(value.item())
    size = abs(float(value))
    return f"{float(value):+.4f}" if 1e-2 <= size < 1e5 else f"{float(value):+.5g}"


def axes(case: Case, name: str, ndim: int) -> tuple[str, ...]:
    """What the axes of a result are called."""
    if ndim == 4:
        return AXES["filters" if name in FILTERS else "images", case.channels]
    return {0: (), 1: ("value",), 2: ("row", "column")}.get(ndim, tuple(f"axis-{i} slice" for i in range(ndim)))


def hit(mask: Array) -> list[list[int]]:
    """For each axis, the indices at which anything is wrong."""
    every = range(mask.ndim)
    return [np.flatnonzero(mask.any(axis=tuple(a for a in every if a != axis))).tolist() for axis in every]


def _spread(named: tuple[str, ...], mask: Array) -> str:
    """Over which samples, channels, ... the wrong entries are spread."""
    if mask.all() or mask.ndim < 2:
        return ""
    parts = []
    for axis, indices, size in zip(named, hit(mask), mask.shape, strict=True):
        if size > 1:
            parts.append(f"all {axis}s" if len(indices) == size else counted(axis, indices, size))
    return f" ({', '.join(parts)})" if parts else ""


def counted(axis: str, indices: Sequence[int], size: int) -> str:
    """``row 3``, ``rows 0 and 6``, or how many of how many."""
    if len(indices) == 1:
        return f"{axis} {indices[0]}"
    if len(indices) <= 3:
        return f"{axis}s {', '.join(map(str, indices[:-1]))} and {indices[-1]}"
    return f"{len(indices)} of {size} {axis}s"
