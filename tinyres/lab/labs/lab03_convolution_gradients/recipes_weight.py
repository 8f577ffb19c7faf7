"""Known mistakes of the gradient of the filters."""

from __future__ import annotations

from dataclasses import replace

from tinyres.kernels.on_numpy.parts import parts
from tinyres.lab.labs.lab02_convolution.recipes_images import CIRCULAR, FILL, SAME_IMAGE, SIDES, WINDOWS
from tinyres.lab.labs.lab02_convolution.slips import changed, kept, known, misread, rewritten
from tinyres.lab.labs.lab03_convolution_gradients.recipes_errors import ORDER, SOME, STRIDE
from tinyres.lab.labs.lab03_convolution_gradients.slips import of_errors
from tinyres.lab.task import Case, Results


def over_images(results: Results, case: Case) -> Results:
    """Divided by N."""
    return {**results, "dw": results["dw"] / len(case.arrays["dy"])}


def over_positions(results: Results, case: Case) -> Results:
    """Divided by I*J."""
    _, i, j, _ = case.arrays["dy"].shape
    return {**results, "dw": results["dw"] / (i * j)}


def over_all(results: Results, case: Case) -> Results:
    """Divided by N*I*J."""
    return over_positions(over_images(results, case), case)


def last_part(case: Case) -> Case:
    """The images of the last part only."""
    x, dy = case.arrays["x"].astype(case.dtype), case.arrays["dy"]
    *_, (images, _, _) = parts(x, case.params["shape"], dy.shape[1:3], 1)
    return case.but({"dy": kept(dy, (images,))})


FILTERS = (
    known(
        "filters turned",
        "dw is turned by 180 degrees: this is cross-correlation, not convolution; only dx wants turned filters",
        after=changed("dw", lambda dw: dw[::-1, ::-1]),
    ),
    known("turned in rows only", "dw runs backwards in r", after=changed("dw", lambda dw: dw[::-1])),
    known("turned in columns only", "dw runs backwards in s", after=changed("dw", lambda dw: dw[:, ::-1])),
    known(
        "filters in front",
        "a product [R*S*C, F] is read as [F, R*S*C]: its last axis is that of the filters already",
        after=changed("dw", lambda dw: misread(dw, (3, 0, 1, 2))),
    ),
    known(
        "taps exchanged",
        "r and s of dw are exchanged: sums in the order (s, r, c) are given the shape (r, s, c)",
        after=changed("dw", lambda dw: rewritten(dw, (1, 0, 2, 3))),
    ),
    known(
        "channels before taps",
        "sums in the order (c, r, s) are given the shape (r, s, c)",
        after=changed("dw", lambda dw: rewritten(dw, (2, 0, 1, 3))),
    ),
    known(
        "product the other way round",
        "dy^T @ columns, which is [F, R*S*C], is given the shape [R,S,C,F]: columns^T @ dy is wanted",
        after=changed("dw", lambda dw: rewritten(dw, (3, 0, 1, 2))),
    ),
    known(
        "channels for filters",
        "c and f of dw are exchanged: sums in the order (r, s, f, c) are given the shape (r, s, c, f)",
        after=changed("dw", lambda dw: rewritten(dw, (0, 1, 3, 2))),
    ),
)
SCALE = (
    known(
        "divided by the batch",
        "dw is divided by N: it is the sum over the images; the loss has averaged already",
        after=over_images,
    ),
    known("mean over positions", "dw is divided by N*I*J: it is the sum over images and positions", after=over_all),
    known("mean over an image", "dw is divided by I*J: it is the sum over images and positions", after=over_positions),
)
WEIGHT = (
    *FILTERS,
    *SCALE,
    *FILL,
    CIRCULAR,
    *SIDES,
    replace(SAME_IMAGE, name="one image for all"),
    *WINDOWS[:4],
    *ORDER,
    *STRIDE,
    *SOME,
    known(
        "last part only",
        "only the last part of the batch counts: += is wanted, as large batches come in several parts",
        before=last_part,
    ),
    known(
        "last position only",
        "each position overwrites what those before it gave: += is wanted where there is =",
        before=of_errors(lambda dy: kept(dy, (slice(None), slice(-1, None), slice(-1, None)))),
    ),
)
