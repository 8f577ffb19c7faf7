"""Known mistakes of the sums on the way back: errors, taps, channels and filters that do not count, or too often."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab02_convolution.recipes_places import EXCHANGED, LAST_IMAGE, PLACES, last_image
from tinyres.lab.labs.lab02_convolution.reference import bordered, im2col
from tinyres.lab.labs.lab02_convolution.slips import changed, given, kept, known, misread, rewritten
from tinyres.lab.labs.lab03_convolution_gradients.reference import dilated
from tinyres.lab.labs.lab03_convolution_gradients.slips import of_errors
from tinyres.lab.task import Array, Case, Recipe, Results

ALL, NONE, FIRST, LAST = slice(None), slice(0), slice(1), slice(-1, None)
ONWARDS, BUT_LAST = slice(1, None), slice(-1)


def left(name: str, slip: str, *where: slice) -> Recipe:
    """Some of the errors only."""
    return known(name, slip, before=of_errors(lambda dy: kept(dy, where)))


ERRORS = (
    left("first row missing", "the errors of the first row of positions do not count: i begins at 0", ALL, ONWARDS),
    left(
        "first column missing",
        "the errors of the first column of positions do not count: j begins at 0",
        ALL,
        ALL,
        ONWARDS,
    ),
    left(
        "first window missing",
        "the errors of the first row and the first column of positions do not count: i and j begin at 0",
        ALL,
        ONWARDS,
        ONWARDS,
    ),
    left("last image missing", "the errors of the last image do not count", BUT_LAST),
    left("first image missing", "the errors of the first image do not count: n begins at 0", ONWARDS),
    left("last row only", "only the errors of the last row of positions count: += is wanted", ALL, LAST),
    left("last column only", "only the errors of the last column of positions count: += is wanted", ALL, ALL, LAST),
    left("first position only", "only the errors of position (0, 0) count", ALL, FIRST, FIRST),
    left("last filter missing", "the errors of the last filter do not count", ALL, ALL, ALL, BUT_LAST),
    known(
        "errors of the first image for all",
        "the errors of every image are taken for those of the first",
        before=of_errors(lambda dy: kept(dy, (NONE,)) + dy[:1]),
    ),
    known(
        "errors of the last image for all",
        "the errors of every image are taken for those of the last",
        before=of_errors(last_image),
    ),
    known(
        "errors of the first filter for all",
        "the errors of every filter are taken for those of the first",
        before=of_errors(lambda dy: kept(dy, (NONE,)) + dy[..., :1]),
    ),
    known(
        "errors of the filters added up",
        "each filter gets the errors of all filters together",
        before=of_errors(lambda dy: kept(dy, (NONE,)) + dy.sum(3, keepdims=True)),
    ),
    known("errors upside down", "the rows of dy run backwards", before=of_errors(lambda dy: dy[:, ::-1])),
    known("errors mirrored", "the columns of dy run backwards", before=of_errors(lambda dy: dy[:, :, ::-1])),
    known("relu of the errors", "negative errors do not count", before=of_errors(lambda dy: np.maximum(dy, 0))),
)


def tap_matrix(case: Case) -> Results:
    """The columns reshaped to [R*S*C, N*I*J], times the errors."""
    r, s, c, f = case.params["shape"]
    columns = im2col(case.but(window=(r, s)))["columns"]
    return {"dw": (columns.reshape(r * s * c, -1) @ case.arrays["dy"].reshape(-1, f)).reshape(r, s, c, f)}


def taps_apart(case: Case) -> Results:
    """Taps as far apart as the windows."""
    (r, s, c, f), stride, (top, bottom, *across) = case.params["shape"], case.params["stride"], case.params["padding"]
    x = bordered(
        case.arrays["x"], (top, bottom + (r - 1) * (stride - 1), across[0], across[1] + (s - 1) * (stride - 1))
    )
    inner = case.but({"x": x, "w": np.zeros((r, s, c, f))}, padding=(0, 0, 0, 0), dilation=stride)
    return {"dw": dilated(inner)["dw"]}


def divided_by_taps(results: Results, case: Case) -> Results:
    """Divided by R*S."""
    return {"dw": results["dw"] / math.prod(results["dw"].shape[:2])}


def divided_by_stride(results: Results, case: Case) -> Results:
    """Divided by the stride, squared."""
    return {name: array / case.params["stride"] ** 2 for name, array in results.items()}


def dw_left(name: str, slip: str, *where: slice) -> Recipe:
    """Some of the sums only."""
    return known(name, slip, after=changed("dw", lambda dw: kept(dw, where)))


WEIGHT = (
    *PLACES,
    LAST_IMAGE,
    *ERRORS,
    left("last filter's errors only", "only the errors of the last filter count", ALL, ALL, ALL, LAST),
    left(
        "last position of the last image only",
        "each position overwrites what those before it gave, in all images: += is wanted where there is =",
        LAST,
        LAST,
        LAST,
    ),
    known(
        "columns reshaped",
        "the columns are reshaped to [R*S*C, N*I*J]: they have to be transposed",
        instead=tap_matrix,
    ),
    known(
        "taps a stride apart",
        "the taps are `stride` pixels apart, as in (i + r) * stride: windows move by the stride, taps are neighbours",
        instead=taps_apart,
    ),
    dw_left("last row of taps missing", "r runs to R-2 only: the last row of dw stays zero", BUT_LAST),
    dw_left("last column of taps missing", "s runs to S-2 only: the last column of dw stays zero", ALL, BUT_LAST),
    dw_left("first tap only", "only tap (0, 0) of dw is filled in", FIRST, FIRST),
    dw_left("last channel missing", "the last channel of dw stays zero", ALL, ALL, BUT_LAST),
    known(
        "first channel for all",
        "every channel of x is taken for the first",
        before=given("x", lambda x: kept(x, (NONE,)) + x[..., :1]),
    ),
    known("mean over taps", "dw is divided by R*S: it is the sum over images and positions", after=divided_by_taps),
    known("divided by the stride", "dw is divided by stride^2: nothing is averaged here", after=divided_by_stride),
    known(
        "sums in the order r, c, s",
        "sums in the order (r, c, s) are given the shape (r, s, c)",
        after=changed("dw", lambda dw: rewritten(dw, (0, 2, 1, 3))),
    ),
    known(
        "sums in the order f, c, r, s",
        "sums in the order (f, c, r, s) are given the shape (r, s, c, f): their axes have to be moved (transpose)",
        after=changed("dw", lambda dw: rewritten(dw, (3, 2, 0, 1))),
    ),
    known(
        "read as C, R, S",
        "the product is reshaped to [C,R,S,F] and moved: its rows are (r, s, c) already",
        after=changed("dw", lambda dw: misread(dw, (2, 0, 1, 3))),
    ),
    known(
        "read as S, R, C",
        "the product is reshaped to [S,R,C,F] and moved: its rows are (r, s, c) already",
        after=changed("dw", lambda dw: misread(dw, (1, 0, 2, 3))),
    ),
    known(
        "read as F, C, R, S",
        "the product is reshaped to [F,C,R,S] and moved: it is [R,S,C,F] already",
        after=changed("dw", lambda dw: misread(dw, (3, 2, 0, 1))),
    ),
    known(
        "read as R, S, F, C",
        "the product is reshaped to [R,S,F,C] and moved: it is [R,S,C,F] already",
        after=changed("dw", lambda dw: misread(dw, (0, 1, 3, 2))),
    ),
    known("images turned", "the images are turned by 180 degrees", before=given("x", lambda x: x[:, ::-1, ::-1])),
)


def w_left(name: str, slip: str, *where: slice) -> Recipe:
    """Some of the filters' numbers only."""
    return known(name, slip, before=given("w", lambda w: kept(w, where)))


def for_all(first: slice) -> Callable[[Array], Array]:
    """One filter's weights for every filter."""
    return lambda w: kept(w, (NONE,)) + w[..., first]


INPUT = (
    *EXCHANGED,
    *ERRORS,
    w_left("last row of taps missing", "r runs to R-2 only: the last row of taps counts too", BUT_LAST),
    w_left("last column of taps missing", "s runs to S-2 only: the last column of taps counts too", ALL, BUT_LAST),
    w_left("first row of taps missing", "r begins at 1: the first row of taps counts too", ONWARDS),
    w_left("first column of taps missing", "s begins at 1: the first column of taps counts too", ALL, ONWARDS),
    w_left("first tap only", "only tap (0, 0) of the filters counts", FIRST, FIRST),
    w_left("last tap only", "only the last tap of the filters counts: += is wanted", LAST, LAST),
    w_left("last filter only", "each filter overwrites the one before it: += is wanted", ALL, ALL, ALL, LAST),
    w_left("first filter missing", "the first filter does not count: f begins at 0", ALL, ALL, ALL, ONWARDS),
    w_left("last channel missing", "the last channel of dx stays zero", ALL, ALL, BUT_LAST),
    known("first filter's weights for all", "every filter is taken for the first", before=given("w", for_all(FIRST))),
    known("divided by the stride", "dx is divided by stride^2: nothing is averaged here", after=divided_by_stride),
    known(
        "mean over filters",
        "dx is divided by F: it is the sum over all filters",
        after=lambda results, case: {"dx": results["dx"] / case.arrays["w"].shape[3]},
    ),
    known(
        "mean over taps",
        "dx is divided by R*S: it is the sum over all taps",
        after=lambda results, case: {"dx": results["dx"] / math.prod(case.arrays["w"].shape[:2])},
    ),
    known("dx turned", "dx is turned by 180 degrees", after=changed("dx", lambda dx: dx[:, ::-1, ::-1])),
    known(
        "last row and column of dx missing",
        "the last row and the last column of dx stay zero",
        after=changed("dx", lambda dx: kept(dx, (ALL, BUT_LAST, BUT_LAST))),
    ),
    known(
        "dx as channels first",
        "each image of dx is computed as [C,H,W] and given the shape [H,W,C]: its axes have to be moved (transpose)",
        after=changed("dx", lambda dx: rewritten(dx, (0, 3, 1, 2))),
    ),
    known(
        "dx read as channels first",
        "each image of dx is reshaped to [C,H,W] and moved: it is [H,W,C] already",
        after=changed("dx", lambda dx: misread(dx, (0, 3, 1, 2))),
    ),
    known(
        "dx read as C, N, H, W",
        "the product is reshaped to [C,N,H,W] and moved: its rows are (n, h, w) already",
        after=changed("dx", lambda dx: misread(dx, (3, 0, 1, 2))),
    ),
)
