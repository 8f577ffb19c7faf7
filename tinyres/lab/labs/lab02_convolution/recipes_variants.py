"""Known mistakes of the three variants: those of the convolution again, and each one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyres.lab.labs.lab02_convolution.cases import NONE
from tinyres.lab.labs.lab02_convolution.recipes import FILTERS, FORWARD, RESULTS
from tinyres.lab.labs.lab02_convolution.recipes_images import FILL, SAME_IMAGE, SIDES, WINDOWS
from tinyres.lab.labs.lab02_convolution.reference import bordered, channels_last
from tinyres.lab.labs.lab02_convolution.slips import changed, given, known, misread, surrounded
from tinyres.lab.task import Array, Case, Recipe, Results


def taps_together(case: Case) -> Case:
    """No holes, and as many positions as with them."""
    (r, s), holes = case.arrays["w"].shape[:2], case.params["dilation"] - 1
    top, bottom, left, right = case.params["padding"]
    return case.but(dilation=1, padding=(top, bottom - (r - 1) * holes, left, right - (s - 1) * holes))


def holes_filled(case: Case) -> Case:
    """Each tap repeated over the hole behind it."""
    step, (r, s) = case.params["dilation"], case.arrays["w"].shape[:2]
    w = case.arrays["w"].repeat(step, 0).repeat(step, 1)[: (r - 1) * step + 1, : (s - 1) * step + 1]
    return case.but({"w": w}, dilation=1)


DILATED = (
    *FORWARD,
    known("dilation ignored", "the taps lie side by side: `dilation` is not used", before=taps_together),
    known("holes filled", "each tap is repeated over the hole next to it: zeros are wanted there", before=holes_filled),
)


def near_side(case: Case) -> Case:
    """The first rows above the image, the last ones below."""
    x, (top, bottom, left, right) = case.arrays["x"], case.params["padding"]
    x = np.concatenate([x[:, :top], x, x[:, x.shape[1] - bottom :]], axis=1)
    x = np.concatenate([x[:, :, :left], x, x[:, :, x.shape[2] - right :]], axis=2)
    return case.but({"x": x}, padding=NONE)


def corners_empty(case: Case) -> Case:
    """Rows and columns of the other side, and zeros where they would meet."""
    x, (top, bottom, left, right) = case.arrays["x"], case.params["padding"]
    tall, wide = bordered(x, (top, bottom, 0, 0), "wrap"), bordered(x, (0, 0, left, right), "wrap")
    sum_of_both = bordered(tall, (0, 0, left, right)) + bordered(wide, (top, bottom, 0, 0))
    return case.but({"x": sum_of_both - bordered(x, (top, bottom, left, right))}, padding=NONE)


CIRCULAR = (
    *(replace(recipe, sentence=recipe.sentence.replace("zeros are", "the other side is")) for recipe in FILL),
    known(
        "zero padding",
        "the border holds zeros: the other side of the image belongs there",
        before=surrounded("constant"),
    ),
    known(
        "near side",
        "the border holds the rows and columns next to it: those of the other side are wanted",
        before=near_side,
    ),
    known(
        "corners empty", "the corners of the border are zero: the opposite corner belongs there", before=corners_empty
    ),
    *SIDES,
    SAME_IMAGE,
    *WINDOWS,
    *FILTERS,
    *RESULTS,
)


def in_our_order(recipe: Recipe) -> Recipe:
    """The same mistake, made after the axes were moved and before they are moved back."""
    before, after = recipe.before, recipe.after

    def changed_case(case: Case) -> Case:
        inner = before(channels_last(case)) if before else channels_last(case)
        x, w = inner.arrays["x"], inner.arrays["w"]
        return replace(inner, arrays={"x": np.moveaxis(x, 3, 1), "w": np.moveaxis(w, (3, 2), (0, 1))})

    def changed_results(results: Results, case: Case) -> Results:
        assert after is not None
        inner = after({"y": np.moveaxis(results["y"], 1, 3)}, channels_last(case))
        return {"y": np.moveaxis(inner["y"], 3, 1)}

    return replace(recipe, before=changed_case if before else None, after=changed_results if after else None)


def x_reshaped(x: Array) -> Array:
    """[N,C,H,W] reshaped to [N,H,W,C], as the reference sees it."""
    n, c, h, w = x.shape
    return np.moveaxis(x.reshape(n, h, w, c), 3, 1)


def w_reshaped(w: Array) -> Array:
    """[F,C,R,S] reshaped to [R,S,C,F], as the reference sees it."""
    f, c, r, s = w.shape
    return np.moveaxis(w.reshape(r, s, c, f), (3, 2), (0, 1))


CHANNELS_FIRST = (
    known(
        "images reshaped",
        "x is reshaped to [N,H,W,C]: its axes have to be moved (transpose)",
        before=given("x", x_reshaped),
    ),
    known(
        "filters reshaped",
        "w is reshaped to [R,S,C,F]: its axes have to be moved (transpose)",
        before=given("w", w_reshaped),
    ),
    known(
        "result reshaped",
        "the result [N,I,J,F] is reshaped to [N,F,I,J]: its axes have to be moved (transpose)",
        after=changed("y", lambda y: np.moveaxis(y, 1, 3).reshape(y.shape)),
    ),
    known(
        "filters reversed",
        "the axes of w are reversed, (s, r, c, f): what is wanted is (r, s, c, f)",
        before=given("w", lambda w: w.swapaxes(2, 3)),
    ),
    known(
        "filters as C, F",
        "w is taken for [C,F,R,S]: PyTorch's filters are [F,C,R,S]",
        before=given("w", lambda w: misread(w, (1, 0, 2, 3))),
    ),
    *map(in_our_order, (*FILL, *SIDES, *WINDOWS, FILTERS[0], *RESULTS)),
)
