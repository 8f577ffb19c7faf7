"""Known mistakes of the sum: taps, channels and filters that are left out, and what it is divided by."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab02_convolution.cases import positions, room
from tinyres.lab.labs.lab02_convolution.slips import After, Before, changed, given, kept, known
from tinyres.lab.task import Array, Case, Recipe, Results

ALL, FIRST, LAST, ONWARDS, BUT_LAST = slice(None), slice(1), slice(-1, None), slice(1, None), slice(-1)


def only(*where: slice) -> Before:
    """Some of the filters' numbers only."""
    return given("w", lambda w: kept(w, where))


def left(name: str, slip: str, *where: slice) -> Recipe:
    """A sum over some of its terms only."""
    return known(name, slip, before=only(*where))


TAPS = (
    left("last row of taps missing", "r runs to R-2 only: the last row of taps counts too", BUT_LAST),
    left("last column of taps missing", "s runs to S-2 only: the last column of taps counts too", ALL, BUT_LAST),
    left("last row and column of taps missing", "r and s stop one too early", BUT_LAST, BUT_LAST),
    left("first row of taps missing", "r begins at 1: the first row of taps counts too", ONWARDS),
    left("first column of taps missing", "s begins at 1: the first column of taps counts too", ALL, ONWARDS),
    left("first tap only", "only tap (0, 0) of the filters counts", FIRST, FIRST),
    left("last row of taps only", "each row of taps overwrites the one before it: += is wanted", LAST),
    left("last column of taps only", "each column of taps overwrites the one before it: += is wanted", ALL, LAST),
)
CHANNELS = (
    left("last channel only", "each channel overwrites the one before it: += is wanted", ALL, ALL, LAST),
    left("last channel missing", "the last channel does not count", ALL, ALL, BUT_LAST),
    left("first channel missing", "the first channel does not count", ALL, ALL, ONWARDS),
)


def divided(by: Callable[[tuple[int, ...]], float]) -> After:
    """Y, divided by a number that the shape of the filters says."""
    return lambda results, case: {"y": results["y"] / by(case.arrays["w"].shape)}


SCALE = (
    known(
        "mean over channels",
        "the channels are averaged, not added: y is divided by C",
        after=divided(lambda shape: shape[2]),
    ),
    known(
        "mean over taps",
        "the taps are averaged, not added: y is divided by R*S",
        after=divided(lambda shape: math.prod(shape[:2])),
    ),
    known("relu", "a ReLU follows: that is an op of its own", after=changed("y", lambda y: np.maximum(y, 0))),
)
FILTERS = (
    known(
        "first filter for all",
        "every filter is taken for the first one",
        before=given("w", lambda w: kept(w, (slice(0),)) + w[..., :1]),
    ),
    known(
        "last filter for all",
        "every filter's result is overwritten by the last one's",
        before=given("w", lambda w: kept(w, (slice(0),)) + w[..., -1:]),
    ),
)
POSITIONS = (
    known(
        "first row missing",
        "the first row of positions is left out: i begins at 0",
        after=changed("y", lambda y: kept(y, (ALL, ONWARDS))),
    ),
    known(
        "first column missing",
        "the first column of positions is left out: j begins at 0",
        after=changed("y", lambda y: kept(y, (ALL, ALL, ONWARDS))),
    ),
    known(
        "first window missing",
        "the first row and the first column of positions are left out: i and j begin at 0",
        after=changed("y", lambda y: kept(y, (ALL, ONWARDS, ONWARDS))),
    ),
    known("last image missing", "the last image is not convolved", after=changed("y", lambda y: kept(y, (BUT_LAST,)))),
)
FORWARD = (*TAPS, *CHANNELS, *SCALE, *FILTERS, *POSITIONS)


def grid(results: Results, case: Case) -> Array:
    """The matrix by images, rows and columns of positions: [N, I, J, R*S*C]."""
    return results["columns"].reshape(len(case.arrays["x"]), *positions(case), -1)


def cropped(rows: slice, columns: slice) -> After:
    """A matrix of fewer windows."""

    def after(results: Results, case: Case) -> Results:
        part = grid(results, case)[:, rows, columns]
        return {"columns": part.reshape(-1, part.shape[3])}

    return after


def emptied(where: tuple[slice, ...]) -> After:
    """Zeros for all taps but some."""

    def after(results: Results, case: Case) -> Results:
        columns, window = results["columns"], case.params["window"]
        taps = columns.reshape(len(columns), *window, -1)
        return {"columns": kept(taps, (ALL, *where)).reshape(columns.shape)}

    return after


def one_more(case: Case) -> Case:
    """Room for a window where the stride leaves rows or columns over."""
    (top, bottom, left, right), stride = case.params["padding"], case.params["stride"]
    rows, columns = room(case)
    return case.but(padding=(top, bottom + -rows % stride, left, right + -columns % stride))


COUNT = (
    known(
        "one row and column of windows too few",
        "there are floor(...) rows and columns of windows: it is floor(...) + 1",
        after=cropped(BUT_LAST, BUT_LAST),
    ),
    known(
        "one row of windows too few",
        "there are floor(...) rows of windows: it is floor(...) + 1",
        after=cropped(BUT_LAST, ALL),
    ),
    known(
        "one column of windows too few",
        "there are floor(...) columns of windows: it is floor(...) + 1",
        after=cropped(ALL, BUT_LAST),
    ),
    known(
        "first row and column of windows missing",
        "the first row and the first column of windows are left out: i and j begin at 0",
        after=cropped(ONWARDS, ONWARDS),
    ),
    known(
        "rounded up",
        "the number of windows is rounded up: a window that does not fit in whole is left out",
        before=one_more,
    ),
    known(
        "every window", "there is a window at every pixel: they are a stride apart", before=lambda c: c.but(stride=1)
    ),
    known("padding left out", "the images are not padded", before=lambda c: c.but(padding=(0, 0, 0, 0))),
    known("padding above and below only", "columns are not padded", before=lambda c: side(c, 0)),
    known("padding left and right only", "rows are not padded", before=lambda c: side(c, 2)),
    known(
        "last row of taps empty", "r runs to R-2 only: the last row of taps is left empty", after=emptied((BUT_LAST,))
    ),
    known(
        "last column of taps empty",
        "s runs to S-2 only: the last column of taps is left empty",
        after=emptied((ALL, BUT_LAST)),
    ),
    known(
        "last channel empty",
        "the last channel of every window is left empty",
        after=emptied((ALL, ALL, BUT_LAST)),
    ),
    known(
        "first channel for all",
        "every channel is taken for the first one",
        before=given("x", lambda x: kept(x, (slice(0),)) + x[..., :1]),
    ),
)


def side(case: Case, first: int) -> Case:
    """Padding in one direction only."""
    padding = case.params["padding"]
    return case.but(padding=(*padding[:2], 0, 0) if first == 0 else (0, 0, *padding[2:]))
