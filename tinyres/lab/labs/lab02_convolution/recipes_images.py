"""Known mistakes of how windows lie over a padded image, whatever is done with them."""

from __future__ import annotations

from tinyres.lab.labs.lab02_convolution.cases import positions, room
from tinyres.lab.labs.lab02_convolution.slips import (
    After,
    at_the_end,
    given,
    in_the_corner,
    known,
    left_for_top,
    placed,
    same_image,
    sides_exchanged,
    surrounded,
    top_for_all,
    without_first,
)
from tinyres.lab.task import Case, Results


def counted_from_the_end(case: Case) -> Case:
    """The last window ends where the image does; what the stride leaves over is in front."""
    (top, bottom, left, right), stride = case.params["padding"], case.params["stride"]
    rows, cols = (pixels % stride for pixels in room(case))
    return case.but(padding=(top - rows, bottom + rows, left - cols, right + cols))


def stepping(in_rows: bool, in_columns: bool) -> After:
    """Of the positions at stride 1, those of the stride in one direction or none; as many as there should be."""

    def after(results: Results, case: Case) -> Results:
        ((name, array),) = results.items()
        every, wanted, n = positions(case.but(stride=1)), positions(case), len(case.arrays["x"])
        rows, columns = (case.params["stride"] if steps else 1 for steps in (in_rows, in_columns))
        grid = array.reshape(n, *every, -1)[:, ::rows, ::columns][:, : wanted[0], : wanted[1]]
        return {name: grid if array.ndim == 4 else grid.reshape(-1, array.shape[1])}

    return after


def at_stride_one(case: Case) -> Case:
    """The same case without its stride."""
    return case.but(stride=1)


FILL = (
    known("edge padding", "the border repeats the outermost pixels; zeros are wanted", before=surrounded("edge")),
    known("mirror padding", "the border mirrors the image; zeros are wanted", before=surrounded("reflect")),
    known(
        "ones padding", "the border holds ones; zeros are wanted", before=surrounded("constant", constant_values=1.0)
    ),
)
CIRCULAR = known(
    "circular padding", "the border holds the other side of the image; zeros are wanted", before=surrounded("wrap")
)
SIDES = (
    known(
        "image in the corner",
        "all padding is at the bottom and on the right: the image starts at row `top` and column `left`",
        before=in_the_corner,
    ),
    known(
        "padding in front only",
        "all padding is at the top and on the left: `bottom` and `right` belong to the other sides",
        before=at_the_end,
    ),
    known(
        "sides exchanged",
        "top and bottom are exchanged, and left and right: padding is (top, bottom, left, right)",
        before=sides_exchanged,
    ),
    known(
        "top for left",
        "the image starts at row `left` and column `top`: padding is (top, bottom, left, right)",
        before=left_for_top,
    ),
    known(
        "top on every side",
        "the image starts at row `top` and column `top`: padding is (top, bottom, left, right)",
        before=top_for_all,
    ),
)
SAME_IMAGE = known("first image only", "every image is taken for the first of the batch", before=given("x", same_image))
WINDOWS = (
    known(
        "one too far",
        "every window begins a row and a column too far: the first one begins at row -top, column -left",
        before=placed(lambda p: (p[0] - 1, p[1] + 1, p[2] - 1, p[3] + 1)),
    ),
    known(
        "counted from the end",
        "the rows and columns that the stride leaves over are left out in front: the first window begins at the start",
        before=counted_from_the_end,
    ),
    known(
        "padding counted twice",
        "the windows of the padded image begin at (-top, -left): in the padded image, the first one begins at (0, 0)",
        before=placed(lambda p: (2 * p[0], p[1] - p[0], 2 * p[2], p[3] - p[2])),
    ),
    known(
        "first row and column missing",
        "row 0 and column 0 of the images are taken for outside: an index is inside from 0 on (0 <=, not 0 <)",
        before=given("x", without_first),
    ),
    known(
        "no stride",
        "the windows move on by one pixel, not by the stride",
        before=at_stride_one,
        after=stepping(False, False),
    ),
    known(
        "stride of rows only",
        "the stride is taken from row to row, but from column to column it is 1",
        before=at_stride_one,
        after=stepping(True, False),
    ),
    known(
        "stride of columns only",
        "the stride is taken from column to column, but from row to row it is 1",
        before=at_stride_one,
        after=stepping(False, True),
    ),
)
