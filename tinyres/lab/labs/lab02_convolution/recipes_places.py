"""Known mistakes of where the windows begin, and of which pixels count as inside the image."""

from __future__ import annotations

from collections.abc import Callable

from tinyres.lab.labs.lab02_convolution.cases import window
from tinyres.lab.labs.lab02_convolution.slips import Before, Sides, given, kept, known, placed
from tinyres.lab.task import Array, Case

Start = tuple[int, int]


def starting(start: Callable[[Sides], Start]) -> Before:
    """The image at another row and column of the padded one, which is as large as it was."""

    def change(p: Sides) -> Sides:
        row, column = start(p)
        return row, p[0] + p[1] - row, column, p[2] + p[3] - column

    return placed(change)


def starting_by(start: Callable[[Case], Start]) -> Before:
    """Likewise, where the stride or the size of the window has a say."""
    return lambda case: starting(lambda p: start(case))(case)


def by_stride(case: Case) -> Start:
    """Top and left, times the stride."""
    (top, _, left, _), stride = case.params["padding"], case.params["stride"]
    return top * stride, left * stride


def late(case: Case) -> Start:
    """The windows at the last of every `stride` pixels."""
    (top, _, left, _), further = case.params["padding"], case.params["stride"] - 1
    return top - further, left - further


def half_a_window(case: Case) -> Start:
    """The windows around their pixels."""
    r, s = window(case)
    return r // 2, s // 2


def half_a_window_more(case: Case) -> Start:
    """The windows around the pixels at which they should begin."""
    (top, _, left, _), (r, s) = case.params["padding"], window(case)
    return top + r // 2, left + s // 2


EXCHANGED = (
    known(
        "top and bottom exchanged",
        "the image starts at row `bottom`: padding is (top, bottom, left, right)",
        before=starting(lambda p: (p[1], p[2])),
    ),
    known(
        "left and right exchanged",
        "the image starts at column `right`: padding is (top, bottom, left, right)",
        before=starting(lambda p: (p[0], p[3])),
    ),
    known(
        "left on every side",
        "the image starts at row `left` and column `left`: padding is (top, bottom, left, right)",
        before=starting(lambda p: (p[2], p[2])),
    ),
    known(
        "padding as top, left",
        "padding is read as (top, left, bottom, right): it is (top, bottom, left, right)",
        before=starting(lambda p: (p[0], p[1])),
    ),
    known(
        "padding as left, top",
        "padding is read as (left, top, right, bottom): it is (top, bottom, left, right)",
        before=starting(lambda p: (p[1], p[0])),
    ),
    known(
        "no padding above",
        "the image starts at row 0: `top` rows of zeros belong above it",
        before=starting(lambda p: (0, p[2])),
    ),
    known(
        "no padding on the left",
        "the image starts at column 0: `left` columns of zeros belong in front of it",
        before=starting(lambda p: (p[0], 0)),
    ),
)
BEGIN = (
    known(
        "padding added",
        "pixel (i*stride + r + top, j*stride + s + left) is taken: top and left are subtracted",
        before=starting(lambda p: (-p[0], -p[2])),
    ),
    known(
        "padding times the stride",
        "the padding is multiplied by the stride, as in (i - top) * stride + r: it is i * stride + r - top",
        before=starting_by(by_stride),
    ),
    known(
        "one too near",
        "every window begins a row and a column too early: the first one begins at row -top, column -left",
        before=starting(lambda p: (p[0] + 1, p[2] + 1)),
    ),
    known(
        "one row too far",
        "every window begins a row too far down: the first one begins at row -top",
        before=starting(lambda p: (p[0] - 1, p[2])),
    ),
    known(
        "one column too far",
        "every window begins a column too far to the right: the first one begins at column -left",
        before=starting(lambda p: (p[0], p[2] - 1)),
    ),
    known(
        "one row too near",
        "every window begins a row too early: the first one begins at row -top",
        before=starting(lambda p: (p[0] + 1, p[2])),
    ),
    known(
        "one column too near",
        "every window begins a column too early: the first one begins at column -left",
        before=starting(lambda p: (p[0], p[2] + 1)),
    ),
    known(
        "last of every stride",
        "windows begin at the last of every `stride` pixels, i*stride + stride-1: they begin at the first, i*stride",
        before=starting_by(late),
    ),
    known(
        "half a window of padding",
        "there are R//2 rows and S//2 columns in front of the image, whatever `padding` says",
        before=starting_by(half_a_window),
    ),
    known(
        "windows centred",
        "windows lie around (i*stride - top, j*stride - left): they begin there",
        before=starting_by(half_a_window_more),
    ),
)


def without(*where: slice) -> Before:
    """Some rows and columns of the images zero: `where` says which are left."""
    return given("x", lambda x: kept(x, (slice(None), *where)))


def misses(what: str) -> str:
    """The sentence of a part of the image that is left out."""
    return f"{what} of the images is taken for outside: from 0 to H-1 and W-1 all is inside"


ALL, ONWARDS, BUT_LAST = slice(None), slice(1, None), slice(-1)
INSIDE = (
    known("first row of the image missing", misses("row 0"), before=without(ONWARDS)),
    known("first column of the image missing", misses("column 0"), before=without(ALL, ONWARDS)),
    known("last row of the image missing", misses("the last row"), before=without(BUT_LAST)),
    known("last column of the image missing", misses("the last column"), before=without(ALL, BUT_LAST)),
    known(
        "last row and column of the image missing",
        "the last row and the last column of the images are taken for outside: inside is row < H, not row < H-1",
        before=without(BUT_LAST, BUT_LAST),
    ),
)


def last_image(x: Array) -> Array:
    """The last image, as often as there are images."""
    return kept(x, (slice(0),)) + x[-1:]


LAST_IMAGE = known(
    "last image for all", "every image is taken for the last of the batch", before=given("x", last_image)
)
PLACES = (*EXCHANGED, *BEGIN, *INSIDE)
