"""Known mistakes of padding alone, whose result may come out too large or too small."""

from __future__ import annotations

import numpy as np

from tinyres.lab.labs.lab02_convolution.slips import given, kept, known, placed, surrounded
from tinyres.lab.task import Case, Results


def zeroed(results: Results, case: Case) -> Results:
    """Rows and columns that should be cut off are there, as zeros."""
    top, bottom, left, right = (min(0, side) for side in case.params["padding"])
    return {"padded": np.pad(results["padded"], ((0, 0), (-top, -bottom), (-left, -right), (0, 0)))}


ORDER = "padding is (top, bottom, left, right)"
FURTHER = (
    known(
        "rows and columns exchanged",
        f"padding is read as (left, right, top, bottom): {ORDER}",
        before=placed(lambda p: (p[2], p[3], p[0], p[1])),
    ),
    known(
        "padding as top, left, bottom, right",
        f"padding is read as (top, left, bottom, right): {ORDER}",
        before=placed(lambda p: (p[0], p[2], p[1], p[3])),
    ),
    known(
        "padding as left, top, right, bottom",
        f"padding is read as (left, top, right, bottom): {ORDER}",
        before=placed(lambda p: (p[1], p[3], p[0], p[2])),
    ),
    known(
        "padding as top, right, bottom, left",
        f"padding is read as (top, right, bottom, left), as in CSS: {ORDER}",
        before=placed(lambda p: (p[0], p[2], p[3], p[1])),
    ),
    known("top all around", f"`top` is put on all four sides: {ORDER}", before=placed(lambda p: (p[0],) * 4)),
    known(
        "top and left twice",
        f"`top` stands for bottom too, and `left` for right: {ORDER}",
        before=placed(lambda p: (p[0], p[0], p[2], p[2])),
    ),
    known(
        "top and bottom exchanged",
        f"top and bottom are exchanged: {ORDER}",
        before=placed(lambda p: (p[1], p[0], p[2], p[3])),
    ),
    known(
        "left and right exchanged",
        f"left and right are exchanged: {ORDER}",
        before=placed(lambda p: (p[0], p[1], p[3], p[2])),
    ),
    known("rows only", "only rows are added: columns belong to it too", before=placed(lambda p: (p[0], p[1], 0, 0))),
    known("columns only", "only columns are added: rows belong to it too", before=placed(lambda p: (0, 0, p[2], p[3]))),
    known("nothing added", "the images come back as they are", before=placed(lambda p: (0, 0, 0, 0))),
    known(
        "nothing cut off",
        "a negative number changes nothing: it cuts off rows or columns",
        before=placed(lambda p: (max(0, p[0]), max(0, p[1]), max(0, p[2]), max(0, p[3]))),
    ),
    known(
        "cut off at top and left only",
        "negative numbers count for top and left only: `bottom` and `right` may cut off, too",
        before=placed(lambda p: (p[0], max(0, p[1]), p[2], max(0, p[3]))),
    ),
    known(
        "absolute numbers",
        "a negative number adds zeros, as if it were positive: it cuts off rows or columns",
        before=placed(lambda p: (abs(p[0]), abs(p[1]), abs(p[2]), abs(p[3]))),
    ),
    known("zeros for a cut", "what should be cut off is set to zero, and stays", after=zeroed),
    known(
        "symmetric padding",
        "the border mirrors the image, its edge twice; zeros are wanted",
        before=surrounded("symmetric"),
    ),
    known(
        "other images empty",
        "only the first image is put inside the zeros",
        before=given("x", lambda x: kept(x, (slice(1),))),
    ),
    known(
        "last row and column missing",
        "the last row and the last column of the images are left out of the zeros",
        before=given("x", lambda x: kept(x, (slice(None), slice(-1), slice(-1)))),
    ),
    known("images turned", "the images are turned by 180 degrees", before=given("x", lambda x: x[:, ::-1, ::-1])),
)
