"""What goes wrong on the way back, as changes to the errors `dy`: their order, and where they stand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab02_convolution.slips import Before
from tinyres.lab.task import Array, Case


def of_errors(change: Callable[[Array], Array]) -> Before:
    """A change to dy."""
    return lambda case: case.but({"dy": change(case.arrays["dy"])})


def apart(rows: bool, columns: bool) -> Before:
    """Errors that stand `stride` apart in one direction or in none, and next to each other otherwise."""

    def before(case: Case) -> Case:
        dy, stride = case.arrays["dy"], case.params["stride"]
        down, across = stride if rows else 1, stride if columns else 1
        n, i, j, f = dy.shape
        grid = np.zeros((n, (i - 1) * down + 1, (j - 1) * across + 1, f))
        grid[:, ::down, ::across] = dy
        return case.but({"dy": grid}, stride=1)

    return before


def repeated(case: Case) -> Case:
    """Each error again in the gaps after it."""
    dy, stride = case.arrays["dy"], case.params["stride"]
    _, i, j, _ = dy.shape
    grid = dy.repeat(stride, 1).repeat(stride, 2)[:, : (i - 1) * stride + 1, : (j - 1) * stride + 1]
    return case.but({"dy": grid}, stride=1)


def rounded_down(case: Case) -> Case:
    """Each error in the gap after it, behind the last one too."""
    stride, (top, bottom, left, right) = case.params["stride"], case.params["padding"]
    grid = case.arrays["dy"].repeat(stride, 1).repeat(stride, 2)
    return case.but({"dy": grid}, stride=1, padding=(top, bottom + stride - 1, left, right + stride - 1))
