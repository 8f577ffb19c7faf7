"""Known mistakes of the transposed convolution: zeros around the errors, and the order of the turned filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinyres.lab.labs.lab02_convolution.recipes_places import starting_by
from tinyres.lab.labs.lab02_convolution.slips import Before, given, known, rewritten
from tinyres.lab.labs.lab03_convolution_gradients.recipes_input import turned, turned_read
from tinyres.lab.task import Case

Formula = Callable[[int, int, int], int]  # taps, padding, stride -> rows (or columns) of zeros in front of the errors


def in_front(formula: Formula, other: bool = False) -> Before:
    """So many zeros in front; `other`: R and S exchanged."""

    def start(case: Case) -> tuple[int, int]:
        (r, s), (top, _, left, _), stride = case.arrays["w"].shape[:2], case.params["padding"], case.params["stride"]
        rows, columns = (s, r) if other else (r, s)
        return r - 1 - formula(rows, top, stride), s - 1 - formula(columns, left, stride)

    return starting_by(start)


RIGHT = "R-1-top rows are wanted"
PLACE = (
    known(
        "padding of the way forward",
        f"there are `top` rows of zeros in front of the errors: {RIGHT}",
        before=in_front(lambda taps, pad, stride: pad),
    ),
    known(
        "no zeros around",
        f"there are no zeros in front of the errors: {RIGHT}",
        before=in_front(lambda taps, pad, stride: 0),
    ),
    known(
        "padding added",
        f"there are R-1+top rows of zeros in front of the errors: {RIGHT}",
        before=in_front(lambda taps, pad, stride: taps - 1 + pad),
    ),
    known(
        "half a window of zeros",
        f"there are R//2 rows of zeros in front of the errors: {RIGHT}",
        before=in_front(lambda taps, pad, stride: taps // 2),
    ),
    known(
        "padding times the stride",
        f"there are R-1-top*stride rows of zeros in front of the errors: {RIGHT}",
        before=in_front(lambda taps, pad, stride: taps - 1 - pad * stride),
    ),
    known(
        "stride subtracted",
        f"there are R-stride-top rows of zeros in front of the errors: {RIGHT}, whatever the stride is",
        before=in_front(lambda taps, pad, stride: taps - stride - pad),
    ),
    known(
        "zeros times the stride",
        f"there are (R-1-top)*stride rows of zeros in front of the errors: {RIGHT}, whatever the stride is",
        before=in_front(lambda taps, pad, stride: (taps - 1 - pad) * stride),
    ),
    known(
        "R and S exchanged around",
        "there are S-1-top rows of zeros and R-1-left columns: rows go with R, columns with S",
        before=in_front(lambda taps, pad, stride: taps - 1 - pad, other=True),
    ),
    known(
        "one row too far",
        f"there are R-top rows of zeros in front of the errors: {RIGHT}",
        before=starting_by(lambda case: (case.params["padding"][0] - 1, case.params["padding"][2])),
    ),
    known(
        "one column too far",
        "there are S-left columns of zeros in front of the errors: it is S-1-left",
        before=starting_by(lambda case: (case.params["padding"][0], case.params["padding"][2] - 1)),
    ),
    known(
        "one row too near",
        f"there are R-2-top rows of zeros in front of the errors: {RIGHT}",
        before=starting_by(lambda case: (case.params["padding"][0] + 1, case.params["padding"][2])),
    ),
    known(
        "one column too near",
        "there are S-2-left columns of zeros in front of the errors: it is S-1-left",
        before=starting_by(lambda case: (case.params["padding"][0], case.params["padding"][2] + 1)),
    ),
)


def written(order: Sequence[int]) -> Before:
    """The turned filters in another order of axes, then reshaped to [R*S*F, C]."""
    return given("w", lambda w: turned(rewritten(turned(w), order)))


FILTERS = (
    known(
        "columns r, f, s",
        "columns in the order (r, f, s) meet filters in the order (r, s, f)",
        before=turned_read((0, 2, 1, 3)),
    ),
    known(
        "turned filters read as rows",
        "the turned filters [R,S,F,C] are reshaped to [C, R*S*F] and transposed: they are [R*S*F, C] already",
        before=turned_read((3, 0, 1, 2)),
    ),
    known(
        "taps moved, then reshaped",
        "the turned filters are moved to [S,R,F,C], then reshaped to [R*S*F, C]",
        before=written((1, 0, 2, 3)),
    ),
    known(
        "filters moved, then reshaped",
        "the turned filters are moved to [F,R,S,C], then reshaped to [R*S*F, C]",
        before=written((2, 0, 1, 3)),
    ),
    known(
        "channels moved, then reshaped",
        "the turned filters are moved to [C,R,S,F], then reshaped to [R*S*F, C]: only [C, R*S*F] is right then",
        before=written((3, 0, 1, 2)),
    ),
    known(
        "filters as C, F, then reshaped",
        "the turned filters are moved to [C,F,R,S], then reshaped to [R*S*F, C]",
        before=written((3, 2, 0, 1)),
    ),
    known(
        "filters written as F, C",
        "the filters are moved to [R,S,F,C], then reshaped as if they were [R,S,C,F] still",
        before=given("w", lambda w: rewritten(w, (0, 1, 3, 2))),
    ),
    known(
        "turned in channels too",
        "the filters run backwards in c too: only r and s do",
        before=given("w", lambda w: w[:, :, ::-1]),
    ),
    known(
        "turned in filters too",
        "the filters run backwards in f too: only r and s do",
        before=given("w", lambda w: w[..., ::-1]),
    ),
)
INPUT = (*PLACE, *FILTERS)
