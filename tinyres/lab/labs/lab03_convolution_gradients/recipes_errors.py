"""Known mistakes with the errors `dy`, whichever gradient is made of them."""

from __future__ import annotations

from tinyres.lab.labs.lab02_convolution.slips import kept, known, misread, rewritten, without_last
from tinyres.lab.labs.lab03_convolution_gradients.slips import apart, of_errors

ORDER = (
    known(
        "positions transposed",
        "i and j of dy are exchanged: its rows (n, i, j) meet windows in the order (n, j, i)",
        before=of_errors(lambda dy: misread(dy, (0, 2, 1, 3))),
    ),
    known(
        "batch innermost",
        "the images of dy come last: its rows (n, i, j) meet windows in the order (i, j, n)",
        before=of_errors(lambda dy: misread(dy, (1, 2, 0, 3))),
    ),
    known(
        "errors read as rows",
        "dy is read as [F, N*I*J], as by dy.reshape(F, -1).T: it lies in memory as [N*I*J, F]",
        before=of_errors(lambda dy: misread(dy, (3, 0, 1, 2))),
    ),
    known(
        "errors moved, then reshaped",
        "dy, its filters moved to the front, is reshaped to [N*I*J, F]: after that move only [F, N*I*J] is right",
        before=of_errors(lambda dy: rewritten(dy, (3, 0, 1, 2))),
    ),
    known(
        "positions moved, then reshaped",
        "dy, its i and j exchanged, is reshaped to [N*I*J, F]: after that move its rows are (n, j, i)",
        before=of_errors(lambda dy: rewritten(dy, (0, 2, 1, 3))),
    ),
    known(
        "errors as channels first",
        "each image's errors are read as [F,I,J]: they lie in memory as [I,J,F]",
        before=of_errors(lambda dy: misread(dy, (0, 3, 1, 2))),
    ),
    known(
        "errors turned",
        "the errors of each image run backwards: nothing is to be turned but, for dx, the filters",
        before=of_errors(lambda dy: dy[:, ::-1, ::-1]),
    ),
)
STRIDE = (
    known("no stride", "errors and windows are one pixel apart: it is `stride` pixels", before=apart(False, False)),
    known(
        "stride of rows only",
        "errors of one row are one pixel apart, as if the stride were one of rows only",
        before=apart(True, False),
    ),
    known(
        "stride of columns only",
        "errors of one column are one pixel apart, as if the stride were one of columns only",
        before=apart(False, True),
    ),
)
SOME = (
    known(
        "last row missing",
        "the errors of the last row of positions do not count",
        before=of_errors(lambda dy: kept(dy, (slice(None), slice(-1)))),
    ),
    known(
        "last column missing",
        "the errors of the last column of positions do not count",
        before=of_errors(lambda dy: kept(dy, (slice(None), slice(None), slice(-1)))),
    ),
    known(
        "last window missing",
        "the errors of the last row and the last column of positions do not count",
        before=of_errors(without_last),
    ),
    known(
        "first image only",
        "only the errors of the first image count",
        before=of_errors(lambda dy: kept(dy, (slice(1),))),
    ),
    known(
        "last image only",
        "only the errors of the last image count: += is wanted where there is =",
        before=of_errors(lambda dy: kept(dy, (slice(-1, None),))),
    ),
)
