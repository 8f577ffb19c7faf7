"""What goes wrong with a convolution, as changes to its case (`before`) and to its results (`after`).

A wrong order of axes is the commonest slip. Numbers written in one order and read in another are told apart by which
side was wrong: `misread` takes an array whose memory is right, `rewritten` makes one whose memory is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinyres.lab.labs.lab02_convolution.cases import NONE
from tinyres.lab.labs.lab02_convolution.reference import bordered
from tinyres.lab.task import Array, Case, Recipe, Results

Before = Callable[[Case], Case]
After = Callable[[Results, Case], Results]
Sides = tuple[int, int, int, int]


def known(
    name: str,
    slip: str,
    *,
    before: Before | None = None,
    instead: Callable[[Case], Results] | None = None,
    after: After | None = None,
) -> Recipe:
    """A recipe; `slip` is the rest of the sentence "equals what you get if ..."."""
    return Recipe(name, f"equals what you get if {slip}", before, instead, after)


def misread(array: Array, order: Sequence[int]) -> Array:
    """The same numbers in memory, taken for an array whose axes come in that order."""
    return array.reshape([array.shape[axis] for axis in order]).transpose(np.argsort(order))


def rewritten(array: Array, order: Sequence[int]) -> Array:
    """An array stored with its axes in that order, then given its own shape."""
    return array.transpose(order).reshape(array.shape)


def given(name: str, change: Callable[[Array], Array]) -> Before:
    """A change to one of the arrays."""
    return lambda case: case.but({name: change(case.arrays[name])})


def placed(change: Callable[[Sides], Sides]) -> Before:
    """A change to the padding."""
    return lambda case: case.but(padding=change(case.params["padding"]))


# (top, bottom, left, right) as a mistake takes them: opposite sides add up to the same, so the result has its shape.
in_the_corner = placed(lambda p: (0, p[0] + p[1], 0, p[2] + p[3]))
at_the_end = placed(lambda p: (p[0] + p[1], 0, p[2] + p[3], 0))
sides_exchanged = placed(lambda p: (p[1], p[0], p[3], p[2]))
left_for_top = placed(lambda p: (p[2], p[0] + p[1] - p[2], p[0], p[2] + p[3] - p[0]))
top_for_all = placed(lambda p: (p[0], p[1], p[0], p[2] + p[3] - p[0]))


def surrounded(mode: str, **how: float) -> Before:
    """Something else than zeros around the images."""

    def before(case: Case) -> Case:
        x = bordered(case.arrays["x"], case.params["padding"], mode, **how)
        return case.but({"x": x}, padding=NONE)

    return before


def changed(name: str, change: Callable[[Array], Array]) -> After:
    """A change to one of the results."""
    return lambda results, case: {**results, name: change(results[name])}


def kept(array: Array, where: tuple[slice, ...]) -> Array:
    """Zero, but for a part of it."""
    part = np.zeros_like(array)
    part[where] = array[where]
    return part


def without_last(array: Array) -> Array:
    """The last row and the last column zero: one position too few."""
    return kept(array, (slice(None), slice(-1), slice(-1)))


def without_first(array: Array) -> Array:
    """The first row and the first column zero."""
    return kept(array, (slice(None), slice(1, None), slice(1, None)))


def same_image(x: Array) -> Array:
    """The first image, as often as there are images."""
    return np.broadcast_to(x[:1], x.shape)
