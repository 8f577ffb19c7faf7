"""Known mistakes of the gradient of the images: where errors stand, the filters, overlaps, the cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinyres.lab.labs.lab02_convolution.recipes_images import counted_from_the_end
from tinyres.lab.labs.lab02_convolution.slips import (
    Before,
    at_the_end,
    changed,
    given,
    in_the_corner,
    kept,
    known,
    left_for_top,
    misread,
    placed,
    rewritten,
    sides_exchanged,
    top_for_all,
)
from tinyres.lab.labs.lab03_convolution_gradients.recipes_errors import ORDER, SOME, STRIDE
from tinyres.lab.labs.lab03_convolution_gradients.reference import cut, images, padded_shape
from tinyres.lab.labs.lab03_convolution_gradients.slips import repeated, rounded_down
from tinyres.lab.task import Array, Case, Results


def turned(w: Array) -> Array:
    """[R,S,C,F] to the [R,S,F,C] of the transposed convolution; its own inverse."""
    return w[::-1, ::-1].swapaxes(2, 3)


def turned_read(order: Sequence[int]) -> Before:
    """The turned filters' memory taken for another order of axes."""
    return given("w", lambda w: turned(misread(turned(w), order)))


def too_late(case: Case) -> Case:
    """The zeros in front of each error, not behind it."""
    late, (top, bottom, left, right) = case.params["stride"] - 1, case.params["padding"]
    return case.but(padding=(top - late, bottom + late, left - late, right + late))


PLACE = (
    known(
        "one too far",
        "every error stands a row and a column too far down and to the right (R - top, not R-1-top)",
        before=placed(lambda p: (p[0] - 1, p[1] + 1, p[2] - 1, p[3] + 1)),
    ),
    known(
        "one too near",
        "every error stands a row and a column too far up and to the left (R-2-top, not R-1-top)",
        before=placed(lambda p: (p[0] + 1, p[1] - 1, p[2] + 1, p[3] - 1)),
    ),
    known(
        "zeros in front", "the stride-1 zeros stand in front of each error: they belong between errors", before=too_late
    ),
    known(
        "counted from the end",
        "the rows and columns that no window reached are left empty in front: they are the last ones",
        before=counted_from_the_end,
    ),
    known("errors repeated", "each error is repeated over the gap after it: the gap holds zeros", before=repeated),
    known(
        "remainder not tested",
        "an error counts also where (h + top - r) / stride is not whole: there, pixel h met no window with tap r",
        before=rounded_down,
    ),
)
CUT = (
    known(
        "cut from the corner",
        "dx is cut out of the padded gradient at row 0 and column 0: it begins at row `top`, column `left`",
        before=in_the_corner,
    ),
    known(
        "cut from the end",
        "dx is the end of the padded gradient: it begins at row `top`, column `left`",
        before=at_the_end,
    ),
    known(
        "sides exchanged",
        "top and bottom are exchanged, and left and right: padding is (top, bottom, left, right)",
        before=sides_exchanged,
    ),
    known(
        "top for left",
        "dx is cut out at row `left`, column `top`: padding is (top, bottom, left, right)",
        before=left_for_top,
    ),
    known(
        "top on every side",
        "dx is cut out at row `top`, column `top`: padding is (top, bottom, left, right)",
        before=top_for_all,
    ),
)
FILTERS = (
    known(
        "filters not turned",
        "the filters are not turned by 180 degrees: the transposed convolution wants w[::-1, ::-1]",
        before=given("w", lambda w: w[::-1, ::-1]),
    ),
    known(
        "turned in rows only",
        "the filters run backwards in r only: both r and s do in the transposed convolution",
        before=given("w", lambda w: w[:, ::-1]),
    ),
    known(
        "turned in columns only",
        "the filters run backwards in s only: both r and s do in the transposed convolution",
        before=given("w", lambda w: w[::-1]),
    ),
    known(
        "turned in every axis",
        "the filters run backwards in c and f too: only r and s do",
        before=given("w", lambda w: w[:, :, ::-1, ::-1]),
    ),
    known(
        "channels not exchanged",
        "c and f of the filters are not exchanged: rows are wanted in the order (r, s, f), columns are c",
        before=given("w", lambda w: misread(w, (0, 1, 3, 2))),
    ),
    known(
        "filters read as rows",
        "w is read as [F, R*S*C], as by w.reshape(F, -1): it lies in memory as [R*S*C, F]",
        before=given("w", lambda w: misread(w, (3, 0, 1, 2))),
    ),
    known(
        "taps exchanged",
        "r and s are exchanged: columns in the order (s, r, f) meet filters in the order (r, s, f)",
        before=turned_read((1, 0, 2, 3)),
    ),
    known(
        "filters before taps",
        "columns in the order (f, r, s) meet filters in the order (r, s, f)",
        before=turned_read((2, 0, 1, 3)),
    ),
)


def overwritten(assign: Callable[[Array, Array, Case], None]) -> Callable[[Case], Results]:
    """Where windows overlap, the one assigned last stays."""

    def instead(case: Case) -> Results:
        padded = np.zeros(padded_shape(case))
        patches = np.einsum("nijf,rscf->nijrsc", case.arrays["dy"], case.arrays["w"])
        assign(padded, patches, case)
        return {"dx": cut(padded, case)}

    return instead


def by_taps(padded: Array, patches: Array, case: Case) -> None:
    """Tap after tap, all positions at once."""
    (_, i, j, r, s, _), stride = patches.shape, case.params["stride"]
    for a in range(r):
        for b in range(s):
            seen = padded[:, a : a + i * stride : stride, b : b + j * stride : stride]
            seen[...] = patches[:, : seen.shape[1], : seen.shape[2], a, b]


def by_positions(padded: Array, patches: Array, case: Case) -> None:
    """Position after position, all taps at once."""
    (_, i, j, r, s, _), stride = patches.shape, case.params["stride"]
    for a in range(i):
        for b in range(j):
            seen = padded[:, a * stride : a * stride + r, b * stride : b * stride + s]
            seen[...] = patches[:, a, b, : seen.shape[1], : seen.shape[2]]


def averaged(results: Results, case: Case) -> Results:
    """Divided by how many windows cover a pixel."""
    dy, w = np.ones((1, *case.arrays["dy"].shape[1:3], 1)), np.ones((*case.arrays["w"].shape[:2], 1, 1))
    shape = (1, *case.params["shape"][1:3], 1)
    covered = images(case.but({"dy": dy, "w": w}, shape=shape))["dx"]
    return {"dx": results["dx"] / np.maximum(covered, 1)}


OVERLAP = (
    known(
        "overlaps overwritten by taps",
        "where windows overlap, the last tap overwrites the others: += is wanted where there is =",
        instead=overwritten(by_taps),
    ),
    known(
        "overlaps overwritten by positions",
        "where windows overlap, the last position overwrites the others: += is wanted where there is =",
        instead=overwritten(by_positions),
    ),
    known("overlaps averaged", "where windows overlap, their errors are averaged: the sum is wanted", after=averaged),
)
RESULT = (
    known(
        "pixels transposed",
        "rows and columns of dx are exchanged: it is computed in the order (n, w, h) and given the shape [N,H,W,C]",
        after=changed("dx", lambda dx: rewritten(dx, (0, 2, 1, 3))),
    ),
    known(
        "channels in front",
        "a product in the order (c, n, h, w) is given the shape [N,H,W,C]: its axes have to be moved (transpose)",
        after=changed("dx", lambda dx: rewritten(dx, (3, 0, 1, 2))),
    ),
    known(
        "divided by the batch",
        "dx is divided by N: images do not share their gradients; the loss has averaged already",
        after=lambda results, case: {**results, "dx": results["dx"] / len(results["dx"])},
    ),
    known(
        "first filter only",
        "only the errors of the first filter come back: dx is the sum over all filters",
        before=given("w", lambda w: kept(w, (slice(None), slice(None), slice(None), slice(1)))),
    ),
)
INPUT = (*FILTERS, *PLACE, *CUT, *OVERLAP, *RESULT, *ORDER, *STRIDE, *SOME)


def shifted(zeros: Array, stride: int) -> Array:
    """The errors `stride` - 1 rows and columns further, those that leave the array gone."""
    further = np.zeros_like(zeros)
    further[:, stride - 1 :, stride - 1 :] = zeros[:, : zeros.shape[1] - stride + 1, : zeros.shape[2] - stride + 1]
    return further


def at_every(step: Callable[[int], tuple[int, int]]) -> Callable[[Case], Results]:
    """Errors at other distances than they should have, as many as find room."""

    def instead(case: Case) -> Results:
        dy, stride = case.arrays["dy"], case.params["stride"]
        (n, i, j, f), (down, across) = dy.shape, step(stride)
        zeros = np.zeros((n, (i - 1) * stride + 1, (j - 1) * stride + 1, f))
        rows, columns = zeros[:, ::down].shape[1], zeros[:, :, ::across].shape[2]
        zeros[:, ::down, ::across][:, :i, :j] = dy[:, :rows, :columns]
        return {"zeros": zeros}

    return instead


def in_one_direction(case: Case) -> Results:
    """Zero only where both the row and the column are between errors."""
    zeros, stride = repeated(case).arrays["dy"], case.params["stride"]
    inside = (np.arange(zeros.shape[1])[:, None] % stride > 0) & (np.arange(zeros.shape[2]) % stride > 0)
    zeros[:, inside] = 0
    return {"zeros": zeros}


SPREAD = (
    known(
        "errors repeated in one direction",
        "an error stands also in the gap to its right and in the gap below it: both hold zeros",
        instead=in_one_direction,
    ),
    known(
        "errors repeated",
        "each error is repeated over the gap after it: the gap holds zeros",
        instead=lambda case: {"zeros": repeated(case).arrays["dy"]},
    ),
    known(
        "zeros in front",
        "the stride-1 zeros stand in front of each error: the first error is at row 0, column 0",
        after=lambda results, case: {"zeros": shifted(results["zeros"], case.params["stride"])},
    ),
    known(
        "no zeros between",
        "the errors are put side by side: they are `stride` apart",
        instead=at_every(lambda stride: (1, 1)),
    ),
    known(
        "one zero too many",
        "there are `stride` zeros between two errors: stride - 1 are wanted",
        instead=at_every(lambda stride: (stride + 1, stride + 1)),
    ),
    known(
        "apart in rows only",
        "rows are `stride` apart, columns are not",
        instead=at_every(lambda stride: (stride, 1)),
    ),
    known(
        "apart in columns only",
        "columns are `stride` apart, rows are not",
        instead=at_every(lambda stride: (1, stride)),
    ),
)
