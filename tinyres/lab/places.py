"""Where the wrong entries of a result lie, in words: the border, every second row, one sample, one channel."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np

from tinyres.lab.compare import counted, hit
from tinyres.lab.task import Array


def where(mask: Array, named: tuple[str, ...]) -> str:
    """Say where a mask is true; "" where that follows no rule, or it is true everywhere.

    Parameters
    ----------
    mask : ndarray of bool
    named : tuple of str
        What its axes are called.

    Returns
    -------
    str
        Such as "at the border of the rows and columns", "in every second row (from 0 on)", "in sample 2".
    """
    if not mask.any() or mask.all() or not mask.ndim:
        return ""
    parts = [
        _some(indices, size, name)
        for indices, size, name in zip(hit(mask), mask.shape, named, strict=True)
        if len(indices) < size
    ]
    if any(parts):
        return "in " + ", ".join(filter(None, parts))
    return _border(mask, named) or _lattice(mask, named)


def _some(indices: list[int], size: int, name: str) -> str:
    """Some indices along an axis; "" for most of them without a pattern."""
    if size > 3 and len(indices) > 1 and len({b - a for a, b in pairwise(indices)}) == 1:
        step = indices[1] - indices[0]
        if step > 1 and indices[0] < step and indices[-1] + step >= size:
            ordinal = {2: "second", 3: "third"}.get(step, f"{step}th")
            return f"every {ordinal} {name} (from {indices[0]} on)"
    if len(indices) > 1 and indices in (list(range(len(indices))), list(range(size - len(indices), size))):
        return f"the {'first' if indices[0] == 0 else 'last'} {len(indices)} {name}s"
    if len(indices) == 1 and indices[0] in (0, size - 1):
        return f"the {'last' if indices[0] else 'first'} {name}"
    return counted(name, indices, size) if len(indices) <= max(size // 2, 1) else ""


def _border(mask: Array, named: tuple[str, ...]) -> str:
    """Whether it is true only at the ends of some axes: the frame of a picture."""
    for count in range(2, mask.ndim + 1):  # along one axis the indices alone have told it
        for some in reversed(list(combinations(range(mask.ndim), count))):
            if width := _frame(mask, some):
                which = " and ".join(f"{named[axis]}s" for axis in some)
                return f"at the border of the {which}" + (f" ({width} wide)" if width > 1 else "")
    return ""


def _frame(mask: Array, some: tuple[int, ...]) -> int:
    """The width of the smallest frame around the inner entries that holds all that is true; 0 if there is no inner."""
    for width in (1, 2, 3):
        inner = tuple(slice(width, -width) if axis in some else slice(None) for axis in range(mask.ndim))
        if not math.prod(mask[inner].shape):
            return 0
        if not mask[inner].any():
            return width
    return 0


def _lattice(mask: Array, named: tuple[str, ...]) -> str:
    """Whether it is true exactly off, or on, the places that a stride of two or three meets along two axes."""
    for step in (2, 3):
        for some in combinations(range(mask.ndim), 2):
            on = np.zeros(mask.shape, bool)
            on[tuple(slice(None, None, step) if axis in some else slice(None) for axis in range(mask.ndim))] = True
            which = " and ".join(f"{named[axis]}s" for axis in some)
            if not (mask & on).any():
                return f"off the places that a stride of {step} meets in the {which}"
    return ""
