"""Known mistakes of the gradients of the three variants: those of the two gradients again, and each one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tinyres.lab.labs.lab02_convolution.recipes_images import SIDES, WINDOWS
from tinyres.lab.labs.lab02_convolution.recipes_variants import holes_filled, taps_together, w_reshaped, x_reshaped
from tinyres.lab.labs.lab02_convolution.reference import bordered
from tinyres.lab.labs.lab02_convolution.slips import changed, given, known, rewritten
from tinyres.lab.labs.lab03_convolution_gradients import recipes_input, recipes_weight
from tinyres.lab.labs.lab03_convolution_gradients.recipes_errors import ORDER, SOME, STRIDE
from tinyres.lab.labs.lab03_convolution_gradients.reference import (
    channels_last,
    circular,
    cut,
    dilated,
    of_filters,
    of_images,
)
from tinyres.lab.task import Array, Case, Recipe, Results


def of(result: str, recipes: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """Mistakes of one of the two gradients, by its name."""
    return tuple(replace(recipe, name=f"{result}: {recipe.name}") for recipe in recipes)


BOTH = (*SIDES, *WINDOWS[:3], *ORDER, *STRIDE, *SOME)
EACH = (
    *of("dw", (*recipes_weight.FILTERS, *recipes_weight.SCALE)),
    *of("dx", recipes_input.FILTERS),
)


def dx_of_filled_holes(case: Case) -> Results:
    """Taps repeated over the holes; dw is right."""
    return {"dx": dilated(holes_filled(case))["dx"], "dw": dilated(case)["dw"]}


DILATED = (
    known("dilation ignored", "the taps lie side by side: `dilation` is not used", before=taps_together),
    known(
        "dx: holes filled",
        "each tap is repeated over the hole next to it: zeros are wanted",
        instead=dx_of_filled_holes,
    ),
    *BOTH,
    *EACH,
)


def dw_of_border(mode: str) -> Callable[[Case], Results]:
    """Something else than the other side around x; dx is right."""

    def instead(case: Case) -> Results:
        w, dy = case.arrays["w"], case.arrays["dy"]
        x = bordered(case.arrays["x"], case.params["padding"], mode)
        return {**circular(case), "dw": of_filters(x, dy, w.shape, case.params["stride"])}

    return instead


def dx_of_border(collect: Callable[[Array, Case], Array]) -> Callable[[Case], Results]:
    """The gradient of the larger images collected in a wrong way; dw is right."""

    def instead(case: Case) -> Results:
        (n, h, w, c), (top, bottom, left, right) = case.arrays["x"].shape, case.params["padding"]
        shape = n, top + h + bottom, left + w + right, c
        larger = of_images(case.arrays["dy"], case.arrays["w"], shape, case.params["stride"])
        return {**circular(case), "dx": collect(larger, case)}

    return instead


def collected(larger: Array, case: Case, which: Callable[[Array, int], Array], add: bool) -> Array:
    """Each pixel of the larger images added to (or put in place of) the one that `which` says."""
    dx, (top, _, left, _) = np.zeros(case.arrays["x"].shape), case.params["padding"]
    rows = which(np.arange(larger.shape[1]) - top, dx.shape[1])
    columns = which(np.arange(larger.shape[2]) - left, dx.shape[2])
    for a, row in enumerate(rows):
        for b, column in enumerate(columns):
            dx[:, row, column] = larger[:, a, b] + (dx[:, row, column] if add else 0)
    return dx


def other_side(index: Array, size: int) -> Array:
    """Where a pixel outside is found on the other side."""
    return index % size


def outermost(index: Array, size: int) -> Array:
    """The pixel of the image next to one outside."""
    return np.clip(index, 0, size - 1)


CIRCULAR = (
    known("dw: zero padding", "x has zeros around it: the other side belongs there", instead=dw_of_border("constant")),
    known(
        "dw: edge padding",
        "x has its outermost pixels around it: the other side belongs there",
        instead=dw_of_border("edge"),
    ),
    known(
        "dx: border cut off",
        "the gradient of the border is cut off: it belongs to the pixels of the other side",
        instead=dx_of_border(cut),
    ),
    known(
        "dx: border overwrites",
        "of pixels that are the same one the last gradient stays: their sum is wanted (dx[:, rows] += adds once only)",
        instead=dx_of_border(lambda larger, case: collected(larger, case, other_side, add=False)),
    ),
    known(
        "dx: border on its own side",
        "the gradient of the border is added to the outermost pixels next to it: it belongs to the other side",
        instead=dx_of_border(lambda larger, case: collected(larger, case, outermost, add=True)),
    ),
    *BOTH,
    *EACH,
)


def in_our_order(recipe: Recipe) -> Recipe:
    """The same mistake, made after the axes were moved and before they are moved back."""
    before, after = recipe.before, recipe.after

    def changed_case(case: Case) -> Case:
        inner = before(channels_last(case)) if before else channels_last(case)
        x, w, dy = (inner.arrays[name] for name in ("x", "w", "dy"))
        moved = {"x": np.moveaxis(x, 3, 1), "w": np.moveaxis(w, (3, 2), (0, 1)), "dy": np.moveaxis(dy, 3, 1)}
        return replace(inner, arrays=moved)

    def changed_results(results: Results, case: Case) -> Results:
        inner = {"dx": np.moveaxis(results["dx"], 1, 3), "dw": np.moveaxis(results["dw"], (0, 1), (3, 2))}
        inner = after(inner, channels_last(case)) if after else inner
        return {"dx": np.moveaxis(inner["dx"], 3, 1), "dw": np.moveaxis(inner["dw"], (3, 2), (0, 1))}

    return replace(recipe, before=changed_case if before else None, after=changed_results if after else None)


MOVED = "its axes have to be moved (transpose)"
CHANNELS_FIRST = (
    known("dw: images reshaped", f"x is reshaped to [N,H,W,C]: {MOVED}", before=given("x", x_reshaped)),
    known("errors reshaped", f"dy is reshaped to [N,I,J,F]: {MOVED}", before=given("dy", x_reshaped)),
    known("dx: filters reshaped", f"w is reshaped to [R,S,C,F]: {MOVED}", before=given("w", w_reshaped)),
    known(
        "dx: result reshaped",
        f"dx is reshaped from [N,H,W,C] to [N,C,H,W]: {MOVED}",
        after=changed("dx", lambda dx: np.moveaxis(dx, 1, 3).reshape(dx.shape)),
    ),
    known(
        "dw: result reshaped",
        f"dw is reshaped from [R,S,C,F] to [F,C,R,S]: {MOVED}",
        after=changed("dw", lambda dw: np.moveaxis(dw, (0, 1), (3, 2)).reshape(dw.shape)),
    ),
    known(
        "dw: as C, F",
        "dw is computed as [C,F,R,S] and given the shape [F,C,R,S]",
        after=changed("dw", lambda dw: rewritten(dw, (1, 0, 2, 3))),
    ),
    known(
        "dw: reversed",
        "the axes of dw are reversed, which makes [F,C,S,R] of [R,S,C,F]",
        after=changed("dw", lambda dw: dw.swapaxes(2, 3)),
    ),
    *map(in_our_order, (*BOTH, *EACH)),
)
