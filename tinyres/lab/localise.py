"""What is peculiar about a wrong result that no known mistake explains: where it is wrong, and how.

The questions go from the whole to the parts: nothing there at all, another order of the right values, right but for a
factor, for a shift; then the same of the entries that differ only, and where those lie.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations

import numpy as np

from tinyres.lab.compare import axes, differs, form, number, tolerance
from tinyres.lab.places import where
from tinyres.lab.task import Array, Case, Results

WRITTEN = "`a[...] = b` writes, `a = b` only gives b a name"
MOST = 100_000  # values of which another order is looked for
DIGITS = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}  # rounding unit of a type


def peculiar(case: Case, name: str, expected: Results, got: Results, terms: float = 1.0) -> str:
    """What is peculiar about one wrong result.

    Parameters
    ----------
    case : Case
    name : str
        Of the result.
    expected, got : dict
    terms : float
        How many terms the longest sum has.

    Returns
    -------
    str
        A sentence; "" if nothing is.
    """
    if name not in got:
        return ""
    right, array = np.asarray(expected[name], np.float64), np.asarray(got[name])
    if array.dtype.kind not in "fiub":
        return "complex numbers or objects came back where real numbers are wanted" if array.dtype.kind in "cO" else ""
    allowed = tolerance(case, np.asarray(expected[name]), terms)
    with np.errstate(all="ignore"):
        if array.shape != right.shape:
            return _reshaped(right, array, allowed)
        mask = differs(right, array, allowed)
        if not mask.any():
            return "the values are right, the type is not" if form(case, name, right, array) else ""
        named, real = axes(case, name, right.ndim), np.asarray(expected[name]).dtype.kind == "f"
        found = next(_findings(case, named, right, array.astype(np.float64), mask, allowed, real), "")
        return found or (_likeness(right, array.astype(np.float64)) if real else "")


def _findings(
    case: Case, named: tuple[str, ...], right: Array, got: Array, mask: Array, allowed: float, real: bool
) -> Iterator[str]:
    """What there is to say, the most telling first. Whole numbers (not `real`) have neither digits nor factors."""
    yield from _numbers(right, got, mask, named)
    yield from _orders(right, got, allowed, named)
    place, inside = where(mask, named), _values(case, right[mask], got[mask], allowed, real)
    if real:
        yield from _precision(case, right, got, allowed)
    if place:
        yield f"wrong {place} only" + (f"; there, {inside}" if inside and mask.sum() > 1 else "")
    if inside and _everywhere(right, mask):
        yield inside
    if not differs(np.abs(right), np.abs(got), allowed).any():
        yield "the magnitudes are right, some signs are not"
    if right.size > 2 and not differs(np.maximum(right, 0), np.maximum(got, 0), allowed).any():
        yield "only what should be negative is wrong" + (f"; there, {inside}" if inside else "")
    if inside and mask.sum() > 3:
        yield f"where it is wrong, {inside}"
    if real:
        yield from _by_axis(right, got, allowed, named)
    if right.size <= MOST and not differs(np.sort(right, None), np.sort(got, None), allowed).any():
        yield "all the right values, but in other places"


def _likeness(right: Array, got: Array) -> str:
    """When nothing else fits: whether the two have a pattern in common."""
    if right.size < 4 or not np.isfinite(got).all() or min(np.ptp(right), np.ptp(got)) == 0:
        return ""
    alike = float(np.corrcoef(right.ravel(), got.ravel())[0, 1])
    if abs(alike) < 0.3:
        return f"shares no pattern with what is expected (correlation {alike:.2f}): start again from the formula"
    if alike < 0:
        return f"runs against what is expected (correlation {alike:.2f}): look for a sign"
    if alike < 0.9:
        return f"resembles what is expected (correlation {alike:.2f}): a term or a factor is another"
    return f"follows what is expected closely (correlation {alike:.2f}): a small term or a factor is another"


def _everywhere(right: Array, mask: Array) -> bool:
    """Whether all entries differ, but for those that are too small to."""
    return bool((mask | (np.abs(right) < 1e-3 * np.max(np.abs(right), initial=0.0))).all())


def _numbers(right: Array, got: Array, mask: Array, named: tuple[str, ...]) -> Iterator[str]:
    """Entries that are no numbers, and results with nothing in them."""
    missing, infinite = np.isnan(got) & mask, np.isinf(got) & mask
    if missing.all() and mask.size > 1:
        yield f"all of it is NaN: nothing was written into it ({WRITTEN}), or one NaN spread over everything"
    for odd, what in (
        (missing, "NaN (never written, or 0/0)"),
        (infinite, "infinite (a division by zero or an overflow)"),
    ):
        if odd.any():
            rest = "right everywhere else" if not (mask & ~odd).any() else "and not all of the rest is right"
            place = where(odd, named) or f"in {int(odd.sum())} of {odd.size} entries"
            yield f"{what} {place}; {rest}"
    if mask.size > 1 and not got.any():
        yield "zero everywhere: was anything written into it, or added to it?"
    if mask.size > 2 and np.ptp(got) == 0 and np.ptp(right) > 0:
        yield f"{number(got.flat[0])} everywhere"


def _orders(right: Array, got: Array, allowed: float, named: tuple[str, ...]) -> Iterator[str]:
    """The right values in other places."""
    if right.ndim < 1 or right.size < 3 or np.ptp(right) <= allowed:
        return

    def same(other: Array) -> bool:
        return other.shape == got.shape and not differs(other, got, allowed).any()

    for order in permutations(range(right.ndim)) if right.size <= MOST and right.ndim <= 5 else ():
        turned = right.transpose(order)
        if order == tuple(range(right.ndim)):
            continue
        if same(turned):
            yield f"the axes are permuted: equals the right result transposed by {order}"
        elif same(turned.reshape(right.shape)):
            yield f"the right values in the order of axes {order}: reshaped where a transposition is wanted"
        elif same(right.reshape(turned.shape).transpose(np.argsort(order))):
            yield f"the right values filled in with axes {order}: a transposition that does not belong there"
    for count in range(1, right.ndim + 1):
        for some in _choices(right.ndim, count):
            if same(np.flip(right, some)):
                yield f"the right values with {_list(named, some)} in reverse order"
    for axis in range(right.ndim):
        yield from _shifted(right, got, allowed, axis, named[axis])


def _choices(ndim: int, count: int) -> Iterator[tuple[int, ...]]:
    return (some for some in permutations(range(ndim), count) if list(some) == sorted(some))


def _list(named: tuple[str, ...], some: tuple[int, ...]) -> str:
    return " and ".join(f"{named[axis]}s" for axis in some)


def _shifted(right: Array, got: Array, allowed: float, axis: int, named: str) -> Iterator[str]:
    """Whether it is right but for a shift by one along an axis."""
    size = right.shape[axis]
    if size < 3:
        return
    first, last = (np.take(right, range(*ends), axis) for ends in ((0, size - 1), (1, size)))
    for source, ends, way in ((first, (1, size), "later"), (last, (0, size - 1), "earlier")):
        moved = np.take(got, range(*ends), axis)
        if np.ptp(source) > allowed and not differs(source, moved, allowed).any():
            yield f"shifted by one: each value stands one {named} {way} than it should"


def _values(case: Case, right: Array, got: Array, allowed: float, real: bool) -> str:
    """How entries that differ, differ: by sign, factor, term, or precision."""
    if not np.isfinite(got).all() or not got.size:
        return ""
    scale = float(np.max(np.abs(right), initial=0.0))
    if not got.any():
        return "it is zero"
    if not differs(-right, got, allowed).any():
        return "the sign is the opposite"
    if scale and right.size > 1 and real:
        factor = float(np.dot(right, got) / np.dot(right, right))
        if factor and not differs(factor * right, got, allowed * max(1.0, abs(factor)) * 2).any():
            return f"got / expected = {_said(factor, case)} everywhere: a constant factor"
    if right.size > 2 and not differs(right + (got - right).mean(), got, 4 * allowed).any():
        return f"got - expected = {number((got - right).mean())} everywhere: a constant term"
    return ""


def _precision(case: Case, right: Array, got: Array, allowed: float) -> Iterator[str]:
    """Whether all of it is right, but to the digits of a coarser type only."""
    error, scale = got - right, float(np.max(np.abs(right), initial=0.0))
    worst = float(np.max(np.abs(error), initial=0.0))
    both = bool((error > 0).any() and (error < 0).any())  # as rounding has, where there are entries enough
    if not 0 < worst < (0.01 if both else 0.001) * scale:
        return
    for kind, unit in DIGITS.items():
        if unit > np.finfo(case.dtype).eps and 2 * allowed < worst < 40 * unit * scale:
            digits = int(-math.log10(worst / scale))
            reason = f"{kind} is used where {case.dtype} is wanted, or two large numbers are subtracted"
            yield f"right to {digits} digits only: somewhere {reason}"
            return


def _said(factor: float, case: Case) -> str:
    """A factor, with what it may stand for: a number of entries, a parameter."""
    sizes: dict[float, str] = {}
    for name, array in case.arrays.items():
        shape = np.shape(array)
        for count in range(len(shape), 0, -1):
            if (product := math.prod(shape[:count])) > 1:
                sizes.setdefault(product, f"{'x'.join(map(str, shape[:count]))}, of the shape of {name}")
    for name, value in case.params.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value not in (0, 1):
            sizes.setdefault(float(value), name)
            sizes.setdefault(1 - float(value), f"1 - {name}")
    text = f"{factor:.4g}"
    for size, what in sizes.items():
        for value, written in ((size, f"{what}"), (1 / size if size else 0.0, f"1 / ({what})")):
            if value and abs(factor / value - 1) < 1e-4:
                return f"{text} ({written})"
    return text


def _by_axis(right: Array, got: Array, allowed: float, named: tuple[str, ...]) -> Iterator[str]:
    """Factors or terms that are constant along all axes but one."""
    for axis in range(right.ndim) if right.ndim > 1 else ():
        others = tuple(a for a in range(right.ndim) if a != axis)
        if math.prod(right.shape[a] for a in others) < 3 or right.shape[axis] < 2:
            continue
        what = f"each {named[axis]}"
        factor = (right * got).sum(others, keepdims=True) / (right * right).sum(others, keepdims=True)
        if not differs(factor * right, got, 4 * allowed * max(1.0, float(np.abs(factor).max()))).any():
            yield f"{what} is off by a factor of its own ({', '.join(f'{f:.3g}' for f in factor.ravel()[:3])}, ...)"
        term = (got - right).mean(others, keepdims=True)
        if not differs(right + term, got, 4 * allowed).any():
            yield f"{what} is off by a term of its own ({', '.join(f'{f:.3g}' for f in term.ravel()[:3])}, ...)"


def _reshaped(right: Array, got: Array, allowed: float) -> str:
    """What to say of a result whose shape is another."""
    if got.size == right.size:
        if not differs(right.ravel(), got.ravel(), allowed).any():
            return f"the values are right; reshape it to {right.shape}"
        for order in permutations(range(got.ndim)) if got.ndim <= 5 else ():
            turned = got.transpose(order)
            if turned.shape == right.shape and not differs(right, turned, allowed).any():
                return f"the axes are permuted: transposed by {order} it is right"
    if got.ndim == right.ndim:
        inner = tuple(slice(0, min(pair)) for pair in zip(right.shape, got.shape, strict=True))
        if math.prod(right[inner].shape) and not differs(right[inner], got[inner], allowed).any():
            return "what both shapes have in common is right"
    return ""
