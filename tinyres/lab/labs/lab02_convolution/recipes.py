"""Known mistakes of padding, im2col and the convolution: the axes of its filters and of its result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyres.lab.labs.lab02_convolution import recipes_orders, recipes_places, recipes_sums
from tinyres.lab.labs.lab02_convolution.cases import positions
from tinyres.lab.labs.lab02_convolution.recipes_images import CIRCULAR, FILL, SAME_IMAGE, SIDES, WINDOWS
from tinyres.lab.labs.lab02_convolution.recipes_pad import FURTHER
from tinyres.lab.labs.lab02_convolution.slips import (
    After,
    Before,
    changed,
    given,
    kept,
    known,
    misread,
    placed,
    rewritten,
    without_last,
)
from tinyres.lab.task import Array, Case, Results


def opposite(first: int, last: int) -> tuple[int, int]:
    """Padding whose negative numbers have changed places."""
    return max(0, first) + min(0, last), max(0, last) + min(0, first)


IMAGES = (*FILL, CIRCULAR, *SIDES, SAME_IMAGE, *WINDOWS)
PAD = (
    *FILL,
    CIRCULAR,
    *SIDES,
    SAME_IMAGE,
    known(
        "cut at the other side",
        "a negative number cuts off rows or columns of the opposite side",
        before=placed(lambda p: (*opposite(p[0], p[1]), *opposite(p[2], p[3]))),
    ),
    *FURTHER,
    recipes_places.LAST_IMAGE,
)


def windows(change: Sequence[int] | slice) -> After:
    """The columns of each window [R, S, C] in another order of axes, or backwards."""

    def after(results: Results, case: Case) -> Results:
        columns, (r, s) = results["columns"], case.params["window"]
        seen = columns.reshape(len(columns), r, s, -1)
        other = (
            seen[:, change, change] if isinstance(change, slice) else seen.transpose(0, *(axis + 1 for axis in change))
        )
        return {"columns": other.reshape(columns.shape)}

    return after


def rows(order: Sequence[int]) -> After:
    """The rows of the matrix, (n, i, j), in another order."""

    def after(results: Results, case: Case) -> Results:
        columns = results["columns"]
        grid = columns.reshape(len(case.arrays["x"]), *positions(case), -1)
        return {"columns": grid.transpose(*order, 3).reshape(columns.shape)}

    return after


def last_missing(results: Results, case: Case) -> Results:
    """Zeros in the rows of the last positions."""
    columns = results["columns"]
    grid = columns.reshape(len(case.arrays["x"]), *positions(case), -1)
    return {"columns": without_last(grid).reshape(columns.shape)}


LAST = "the last row and the last column of positions are left out: there are floor(...) + 1 of them"
LAST_ROW = "the last row of positions is left out: there are floor(...) + 1 rows"
LAST_COLUMN = "the last column of positions is left out: there are floor(...) + 1 columns"
IM2COL = (
    *IMAGES,
    known(
        "columns c, r, s", "a window's numbers are in the order (c, r, s): channels come last", after=windows((2, 0, 1))
    ),
    known(
        "columns r, c, s", "a window's numbers are in the order (r, c, s): channels come last", after=windows((0, 2, 1))
    ),
    known(
        "columns s, r, c",
        "a window's numbers go down its columns first: the order is (r, s, c)",
        after=windows((1, 0, 2)),
    ),
    known(
        "windows turned",
        "every window is turned by 180 degrees: nothing is turned here",
        after=windows(slice(None, None, -1)),
    ),
    known(
        "positions down the columns",
        "the rows of the matrix are in the order (n, j, i): it is (n, i, j)",
        after=rows((0, 2, 1)),
    ),
    known(
        "images innermost",
        "the rows of the matrix are in the order (i, j, n): images come first",
        after=rows((1, 2, 0)),
    ),
    known("last position missing", LAST, after=last_missing),
    *recipes_orders.COLUMNS,
    *recipes_orders.IMAGES,
    *recipes_places.PLACES,
    recipes_places.LAST_IMAGE,
    *recipes_sums.COUNT,
)


def filters_read(order: Sequence[int]) -> Before:
    """The filters' memory taken for another order of axes."""
    return given("w", lambda w: misread(w, order))


def one_channel(w: Array) -> Array:
    """Filters that see the first channel only."""
    return kept(w, (slice(None), slice(None), slice(1)))


def taps_apart(case: Case) -> Case:
    """Filters with holes as wide as the stride, and zeros where they reach beyond the image."""
    w, stride, (top, bottom, left, right) = case.arrays["w"], case.params["stride"], case.params["padding"]
    r, s, c, f = w.shape
    holes = np.zeros(((r - 1) * stride + 1, (s - 1) * stride + 1, c, f))
    holes[::stride, ::stride] = w
    padding = top, bottom + len(holes) - r, left, right + holes.shape[1] - s
    return case.but({"w": holes}, padding=padding)


FILTERS = (
    known(
        "filters turned",
        "the filters are turned by 180 degrees: this is cross-correlation, as everywhere in deep learning",
        before=given("w", lambda w: w[::-1, ::-1]),
    ),
    known("turned in rows only", "the filters run backwards in r", before=given("w", lambda w: w[::-1])),
    known("turned in columns only", "the filters run backwards in s", before=given("w", lambda w: w[:, ::-1])),
    known(
        "taps exchanged",
        "r and s are exchanged: columns in the order (s, r, c) meet filters in the order (r, s, c)",
        before=filters_read((1, 0, 2, 3)),
    ),
    known(
        "channels before taps",
        "columns in the order (c, r, s) meet filters in the order (r, s, c)",
        before=filters_read((2, 0, 1, 3)),
    ),
    known(
        "filters read as rows",
        "w is read as [F, R*S*C], as by w.reshape(F, -1).T: it lies in memory as [R*S*C, F]",
        before=filters_read((3, 0, 1, 2)),
    ),
    known(
        "channels for filters",
        "c and f are exchanged in w: its axes are (r, s, c, f)",
        before=filters_read((0, 1, 3, 2)),
    ),
    known(
        "taps a stride apart",
        "the taps are `stride` pixels apart, as in (i + r) * stride: windows move by the stride, taps are neighbours",
        before=taps_apart,
    ),
    known("first channel only", "only the first channel of the images counts", before=given("w", one_channel)),
    known(
        "last tap only",
        "each tap of the filter overwrites what those before it gave: += is wanted where there is =",
        before=given("w", lambda w: kept(w, (slice(-1, None), slice(-1, None)))),
    ),
)


def mean_of_window(results: Results, case: Case) -> Results:
    """Divided by the number of terms."""
    w = case.arrays["w"]
    return {"y": results["y"] * w.shape[3] / w.size}


RESULTS = (
    known(
        "positions transposed",
        "i and j are exchanged: rows of the matrix in the order (n, j, i) are taken for (n, i, j)",
        after=changed("y", lambda y: rewritten(y, (0, 2, 1, 3))),
    ),
    known(
        "batch innermost",
        "rows of the matrix in the order (i, j, n) are taken for (n, i, j)",
        after=changed("y", lambda y: rewritten(y, (1, 2, 0, 3))),
    ),
    known(
        "filters first",
        "a product [F, N*I*J] is reshaped to [N,I,J,F]: its axes have to be moved (transpose)",
        after=changed("y", lambda y: rewritten(y, (3, 0, 1, 2))),
    ),
    known(
        "channels first",
        "each image [F,I,J] is given the shape [I,J,F]: its axes have to be moved (transpose)",
        after=changed("y", lambda y: rewritten(y, (0, 3, 1, 2))),
    ),
    known("last window missing", LAST, after=changed("y", without_last)),
    known("last row missing", LAST_ROW, after=changed("y", lambda y: kept(y, (slice(None), slice(-1))))),
    known(
        "last column missing", LAST_COLUMN, after=changed("y", lambda y: kept(y, (slice(None), slice(None), slice(-1))))
    ),
    known("mean of the window", "the products of a window are averaged; their sum is wanted", after=mean_of_window),
    known(
        "bias of one", "one is added to each result: this convolution has no bias", after=changed("y", lambda y: y + 1)
    ),
    known(
        "other images empty", "only the first image is convolved", after=changed("y", lambda y: kept(y, (slice(1),)))
    ),
)
FORWARD = (*IMAGES, *FILTERS, *RESULTS)
FURTHER_FORWARD = (
    *recipes_places.PLACES,
    recipes_places.LAST_IMAGE,
    *recipes_sums.FORWARD,
    *recipes_orders.IMAGES,
    *recipes_orders.FILTERS,
    *recipes_orders.RESULTS,
    *recipes_orders.PRODUCTS,
)
