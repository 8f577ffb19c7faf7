"""Known mistakes with the order of numbers: of images, columns, filters and results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinyres.lab.labs.lab02_convolution.cases import positions
from tinyres.lab.labs.lab02_convolution.reference import im2col
from tinyres.lab.labs.lab02_convolution.slips import After, changed, given, known, misread, rewritten
from tinyres.lab.task import Array, Case, Results

IMAGES = (
    known(
        "images as columns, rows",
        "each image is read as [W,H,C]: it lies in memory as [H,W,C]",
        before=given("x", lambda x: misread(x, (0, 2, 1, 3))),
    ),
    known(
        "images as channels first",
        "each image is read as [C,H,W]: it lies in memory as [H,W,C]",
        before=given("x", lambda x: misread(x, (0, 3, 1, 2))),
    ),
    known(
        "images moved, then reshaped",
        "the channels of x are moved to the front, and the result is reshaped to [N,H,W,C] again",
        before=given("x", lambda x: rewritten(x, (0, 3, 1, 2))),
    ),
    known("images turned", "the images are turned by 180 degrees", before=given("x", lambda x: x[:, ::-1, ::-1])),
)


def windows_of(columns: Array, case: Case, window: Sequence[int]) -> Array:
    """The matrix as [N,I,J,R,S,C]."""
    return columns.reshape(len(case.arrays["x"]), *positions(case), *window, -1)


def in_order(order: Sequence[int]) -> After:
    """Columns whose axes (n, i, j, r, s, c) are in that order when they are reshaped to a matrix."""

    def after(results: Results, case: Case) -> Results:
        columns = results["columns"]
        windows = windows_of(columns, case, case.params["window"])
        return {"columns": windows.transpose(order).reshape(columns.shape)}

    return after


def multiplied(order: Sequence[int]) -> Callable[[Case], Results]:
    """Such columns times the filters."""

    def instead(case: Case) -> Results:
        w, (i, j) = case.arrays["w"], positions(case)
        columns = im2col(case.but(window=w.shape[:2]))["columns"]
        matrix = windows_of(columns, case, w.shape[:2]).transpose(order).reshape(columns.shape)
        return {"y": (matrix @ w.reshape(-1, w.shape[3])).reshape(-1, i, j, w.shape[3])}

    return instead


def flipped(results: Results, case: Case, axis: int) -> Results:
    """One axis of every window backwards."""
    columns = results["columns"]
    windows = windows_of(columns, case, case.params["window"])
    turned = windows[:, :, :, ::-1] if axis == 3 else windows[:, :, :, :, ::-1]
    return {"columns": turned.reshape(columns.shape)}


STORED = (
    ("n, r, s, i, j, c", (0, 3, 4, 1, 2, 5)),
    ("r, s, n, i, j, c", (3, 4, 0, 1, 2, 5)),
    ("r, s, c, n, i, j", (3, 4, 5, 0, 1, 2)),
    ("n, r, s, c, i, j", (0, 3, 4, 5, 1, 2)),
    ("n, c, r, s, i, j", (0, 5, 3, 4, 1, 2)),
    ("n, i, r, j, s, c", (0, 1, 3, 2, 4, 5)),
)
COLUMNS = (
    *(
        known(
            f"stored as {axes}",
            f"windows stored as [{axes}] are reshaped to the matrix: first their axes have to be moved (transpose)",
            after=in_order(order),
        )
        for axes, order in STORED
    ),
    known(
        "columns c, s, r",
        "a window's numbers are in the order (c, s, r): it is (r, s, c)",
        after=in_order((0, 1, 2, 5, 4, 3)),
    ),
    known(
        "columns s, c, r",
        "a window's numbers are in the order (s, c, r): it is (r, s, c)",
        after=in_order((0, 1, 2, 4, 5, 3)),
    ),
    known(
        "rows i, n, j",
        "the rows of the matrix are in the order (i, n, j): images come first",
        after=in_order((1, 0, 2, 3, 4, 5)),
    ),
    known(
        "rows j, i, n",
        "the rows of the matrix are in the order (j, i, n): it is (n, i, j)",
        after=in_order((2, 1, 0, 3, 4, 5)),
    ),
    known(
        "windows turned in rows only",
        "every window is upside down: nothing is turned here",
        after=lambda results, case: flipped(results, case, 3),
    ),
    known(
        "windows turned in columns only",
        "every window is mirrored from left to right: nothing is turned here",
        after=lambda results, case: flipped(results, case, 4),
    ),
)


PRODUCTS = tuple(
    known(
        f"stored as {axes}",
        f"windows stored as [{axes}] are reshaped to columns: first their axes have to be moved (transpose)",
        instead=multiplied(order),
    )
    for axes, order in STORED
)
FILTERS = (
    known(
        "columns r, c, s",
        "columns in the order (r, c, s) meet filters in the order (r, s, c)",
        before=given("w", lambda w: misread(w, (0, 2, 1, 3))),
    ),
    known(
        "filters read as F, C",
        "w is read as [F,C,R,S], PyTorch's order: it lies in memory as [R,S,C,F]",
        before=given("w", lambda w: misread(w, (3, 2, 0, 1))),
    ),
    known(
        "taps moved, then reshaped",
        "w, its r and s exchanged, is reshaped to [R*S*C, F]: after that move its rows are (s, r, c)",
        before=given("w", lambda w: rewritten(w, (1, 0, 2, 3))),
    ),
    known(
        "channels moved, then reshaped",
        "w, its c moved to the front, is reshaped to [R*S*C, F]: after that move its rows are (c, r, s)",
        before=given("w", lambda w: rewritten(w, (2, 0, 1, 3))),
    ),
    known(
        "filters moved, then reshaped",
        "w, its f moved to the front, is reshaped to [R*S*C, F]: after that move only [F, R*S*C] is right",
        before=given("w", lambda w: rewritten(w, (3, 0, 1, 2))),
    ),
    known(
        "filters as F, C, then reshaped",
        "w is moved to [F,C,R,S], then reshaped to [R*S*C, F]: it has that order before it is moved",
        before=given("w", lambda w: rewritten(w, (3, 2, 0, 1))),
    ),
    known(
        "turned in channels too",
        "the filters run backwards in r, s and c: nothing is turned here",
        before=given("w", lambda w: w[::-1, ::-1, ::-1]),
    ),
)
RESULTS = (
    known(
        "product read as F, N, I, J",
        "the product [N*I*J, F] is reshaped to [F,N,I,J] and moved: its rows are (n, i, j) already",
        after=changed("y", lambda y: misread(y, (3, 0, 1, 2))),
    ),
    known(
        "product read as N, F, I, J",
        "the product [N*I*J, F] is reshaped to [N,F,I,J] and moved: its rows are (n, i, j) already",
        after=changed("y", lambda y: misread(y, (0, 3, 1, 2))),
    ),
    known(
        "product read as N, J, I, F",
        "the product is reshaped to [N,J,I,F] and moved: its rows are (n, i, j) already",
        after=changed("y", lambda y: misread(y, (0, 2, 1, 3))),
    ),
)
