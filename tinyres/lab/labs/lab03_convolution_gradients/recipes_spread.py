"""Known mistakes of putting zeros between errors, whose result may come out too large or too small."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab02_convolution.slips import changed, kept, known, misread
from tinyres.lab.labs.lab03_convolution_gradients.recipes_terms import divided_by_stride
from tinyres.lab.labs.lab03_convolution_gradients.slips import of_errors
from tinyres.lab.task import Array, Case, Recipe, Results

ALL, ONWARDS, BUT_LAST = slice(None), slice(1, None), slice(-1)


def grown(before: Callable[[int], int], behind: Callable[[int], int]) -> Callable[[Results, Case], Results]:
    """More zeros, so many in front of the first errors and so many behind the last."""

    def after(results: Results, case: Case) -> Results:
        stride = case.params["stride"]
        wide = (before(stride), behind(stride))
        return {"zeros": np.pad(results["zeros"], ((0, 0), wide, wide, (0, 0)))}

    return after


def apart(down: Callable[[int], int], across: Callable[[int], int]) -> Callable[[Case], Results]:
    """Errors at other distances, in an array of the size that these ask for."""

    def instead(case: Case) -> Results:
        dy, stride = case.arrays["dy"], case.params["stride"]
        (n, i, j, f), rows, columns = dy.shape, down(stride), across(stride)
        zeros = np.zeros((n, (i - 1) * rows + 1, (j - 1) * columns + 1, f))
        zeros[:, ::rows, ::columns] = dy
        return {"zeros": zeros}

    return instead


def filled(case: Case) -> Results:
    """Each error stride x stride times."""
    dy, stride = case.arrays["dy"], case.params["stride"]
    return {"zeros": dy.repeat(stride, 1).repeat(stride, 2)}


def tiled(case: Case) -> Results:
    """All errors stride x stride times, side by side."""
    dy, stride = case.arrays["dy"], case.params["stride"]
    return {"zeros": np.tile(dy, (1, stride, stride, 1))}


def errors(name: str, slip: str, change: Callable[[Array], Array]) -> Recipe:
    """Other errors at the right places."""
    return known(name, slip, before=of_errors(change))


FURTHER = (
    known(
        "zeros behind too",
        "stride - 1 zeros stand behind the last errors too, I*stride rows in all: they stand between errors only",
        after=grown(lambda s: 0, lambda s: s - 1),
    ),
    known(
        "zeros before every error",
        "stride - 1 zeros stand in front of the first errors too, I*stride rows in all: the first is at row 0",
        after=grown(lambda s: s - 1, lambda s: 0),
    ),
    known(
        "zeros around too",
        "stride - 1 zeros stand around the errors too: they stand between errors only",
        after=grown(lambda s: s - 1, lambda s: s - 1),
    ),
    known(
        "one row too large",
        "there is a row and a column of zeros too many behind",
        after=grown(lambda s: 0, lambda s: 1),
    ),
    known(
        "stride zeros between",
        "there are `stride` zeros between two errors, and room for them: stride - 1 are wanted",
        instead=apart(lambda s: s + 1, lambda s: s + 1),
    ),
    known(
        "rows apart, columns side by side",
        "rows are `stride` apart, columns side by side in a narrower array",
        instead=apart(lambda s: s, lambda s: 1),
    ),
    known(
        "columns apart, rows side by side",
        "columns are `stride` apart, rows side by side in a lower array",
        instead=apart(lambda s: 1, lambda s: s),
    ),
    known("nothing in between", "dy comes back as it is", instead=apart(lambda s: 1, lambda s: 1)),
    known(
        "each error stride x stride times", "each error is repeated, as by np.repeat: zeros are wanted", instead=filled
    ),
    known("tiled", "dy is repeated as a whole, as by np.tile: zeros are wanted", instead=tiled),
    known(
        "divided by the stride", "the errors are divided by stride^2: they stay what they are", after=divided_by_stride
    ),
    known(
        "last row and column missing",
        "the last row and the last column of errors are left out",
        before=of_errors(lambda dy: kept(dy, (ALL, BUT_LAST, BUT_LAST))),
    ),
    known(
        "last row and column cut off",
        "the last row and the last column of the array are missing: it has (I-1)*stride + 1 rows",
        after=changed("zeros", lambda zeros: zeros[:, :-1, :-1]),
    ),
    errors("first image only", "the other images stay empty", lambda dy: kept(dy, (slice(1),))),
    errors("positions read transposed", "i and j of dy are exchanged", lambda dy: misread(dy, (0, 2, 1, 3))),
    errors(
        "errors turned", "the errors of each image run backwards: nothing is turned here", lambda dy: dy[:, ::-1, ::-1]
    ),
)
