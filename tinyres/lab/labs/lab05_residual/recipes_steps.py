"""Known mistakes of ReLU, projection and block, step by step: signs, masks, factors, what is summed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import recipes_pixels, reference
from tinyres.lab.labs.lab05_residual.recipes import SAME
from tinyres.lab.labs.lab05_residual.recipes_pixels import ALL, BUT_LAST, FIRST, LAST, kept
from tinyres.lab.task import Case, Recipe, Results

Array = Any
Formula = Callable[..., Array]


def cut(x: Array) -> Array:
    """Its ReLU."""
    return np.maximum(x, 0)


def _known(name: str, sentence: str, result: str, arrays: tuple[str, ...], formula: Formula) -> Recipe:
    """One result from arrays of the case."""
    return Recipe(
        name,
        SAME + sentence,
        instead=lambda case: {result: formula(*(case.arrays[array] for array in arrays))},
    )


def relu(name: str, sentence: str, formula: Formula) -> Recipe:
    """Y from x."""
    return _known(name, sentence, "y", ("x",), formula)


def back(name: str, sentence: str, formula: Formula) -> Recipe:
    """Dx from dy and y."""
    return _known(name, sentence, "dx", ("dy", "y"), formula)


def added(name: str, sentence: str, formula: Formula) -> Recipe:
    """Y from a and b."""
    return _known(name, sentence, "y", ("a", "b"), formula)


RELU = (
    relu("clipped-at-1", "what is above 1 is cut off too: there is no upper limit", lambda x: np.clip(x, 0, 1)),
    relu("sign-turned", "the sign is turned before the ReLU", lambda x: cut(-x)),
    relu("squared", "x is multiplied by its ReLU: that is the square of it", lambda x: x * cut(x)),
    relu("threshold-1", "only what is above 1 gets through: the threshold is 0", lambda x: np.where(x <= 1, 0, x)),
    relu(
        "leaky-0.1",
        "a tenth of what is negative gets through: that is leaky ReLU",
        lambda x: np.where(x > 0, x, 0.1 * x),
    ),
)
RELU_GRADIENT = (
    back("arrays-exchanged", "dy and y are exchanged: y passes where dy is positive", lambda dy, y: y * (dy > 0)),
    back("output-returned", "the output comes back, not the gradient", lambda dy, y: y),
    back("threshold-1", "dy passes where the output is above 1: the threshold is 0", lambda dy, y: dy * (y > 1)),
    back("sign-turned", "the sign of dy is turned", lambda dy, y: -dy * (y > 0)),
    back("absolute", "dy is made positive: it keeps its sign", lambda dy, y: np.abs(dy) * (y > 0)),
    back("relu-of-the-product", "the ReLU of dy * y is taken: dy passes where y > 0", lambda dy, y: cut(dy * y)),
    back(
        "leaky-0.1",
        "a tenth gets through where the output was 0: that is leaky ReLU",
        lambda dy, y: np.where(y > 0, dy, 0.1 * dy),
    ),
)
ADD_RELU = (
    added("first-twice", "the first array is added to itself", lambda a, b: cut(a + a)),
    added("second-twice", "the second array is added to itself", lambda a, b: cut(b + b)),
    added("difference-the-other-way", "the first array is subtracted from the second", lambda a, b: cut(b - a)),
    added(
        "maximum", "the larger of the two is taken, and the ReLU of it: add them", lambda a, b: cut(np.maximum(a, b))
    ),
    added("larger-of-the-two", "the larger of the two is taken, without a sum", np.maximum),
    added("absolute", "what is negative is made positive: it has to become 0", lambda a, b: np.abs(a + b)),
    added(
        "negative-part",
        "the negative part is kept: np.minimum in place of np.maximum",
        lambda a, b: np.minimum(a + b, 0),
    ),
    added("clipped-at-1", "what is above 1 is cut off too: there is no upper limit", lambda a, b: np.clip(a + b, 0, 1)),
    added("branch-cut-first", "the first array goes through a ReLU before the sum, too", lambda a, b: cut(cut(a) + b)),
    added(
        "shortcut-cut-first", "the second array goes through a ReLU before the sum, too", lambda a, b: cut(a + cut(b))
    ),
    added("first-alone", "the first array comes back as it is", lambda a, b: a),
    added("second-alone", "the second array comes back as it is", lambda a, b: b),
)


def _weight(name: str, sentence: str, change: Callable[[Array], Array]) -> Recipe:
    return Recipe(name, SAME + sentence, before=lambda case: case.but({"w": change(case.arrays["w"])}))


PROJECT = (
    *recipes_pixels.TAKEN,
    *recipes_pixels.WRITTEN,
    _weight("weight-reshaped", "w is transposed, then reshaped to [C, F]", lambda w: w.T.reshape(w.shape)),
    _weight("first-channel-only", "only the first channel of x counts", lambda w: kept(w, FIRST)),
    _weight("last-channel-only", "each channel overwrites the one before it: += is wanted", lambda w: kept(w, LAST)),
    _weight("last-channel-missing", "the last channel of x does not count", lambda w: kept(w, BUT_LAST)),
    _weight("mean-over-channels", "the channels are averaged: their sum is wanted", lambda w: w / len(w)),
)


def _dw(name: str, sentence: str, change: Callable[[Array], Array]) -> Recipe:
    """Dw from other errors; dx is right."""

    def after(results: Results, case: Case) -> Results:
        other = case.but({"dy": change(case.arrays["dy"])})
        return {**results, "dw": reference.project_gradient(other)["dw"]}

    return Recipe(name, SAME + sentence, after=after)


def _dx_by(name: str, sentence: str, change: Callable[[Array], Array]) -> Recipe:
    """Dx by other weights; dw is right."""

    def after(results: Results, case: Case) -> Results:
        other = case.but({"w": change(case.arrays["w"])})
        return {**results, "dx": reference.project_gradient(other)["dx"]}

    return Recipe(name, SAME + sentence, after=after)


def _named(recipe: Recipe) -> Recipe:
    return Recipe(f"dx-{recipe.name}", recipe.sentence, recipe.before, recipe.instead, recipe.after)


def _dw_times(name: str, sentence: str, factor: Callable[[Case], float]) -> Recipe:
    return Recipe(name, SAME + sentence, after=lambda r, case: {**r, "dw": r["dw"] * factor(case)})


PROJECT_GRADIENT = (
    *(_named(recipe) for recipe in recipes_pixels.BACK),
    _dw("dw-last-image", "dw is made from the last image only: += is wanted", lambda dy: kept(dy, LAST)),
    _dw("dw-last-image-missing", "the last image does not count in dw", lambda dy: kept(dy, BUT_LAST)),
    _dw(
        "dw-last-pixel-only", "dw is made from the last pixel only: += is wanted", lambda dy: kept(dy, ALL, LAST, LAST)
    ),
    _dw("dw-first-pixel-only", "dw is made from pixel (0, 0) only", lambda dy: kept(dy, ALL, FIRST, FIRST)),
    _dw("dw-last-row-only", "dw is made from the last row only: += is wanted", lambda dy: kept(dy, ALL, LAST)),
    _dw(
        "dw-last-column-only", "dw is made from the last column only: += is wanted", lambda dy: kept(dy, ALL, ALL, LAST)
    ),
    _dw("dw-last-row-missing", "the last row of dy does not count in dw", lambda dy: kept(dy, ALL, BUT_LAST)),
    _dw(
        "dw-last-column-missing", "the last column of dy does not count in dw", lambda dy: kept(dy, ALL, ALL, BUT_LAST)
    ),
    _dw(
        "dw-rows-for-columns",
        "i and j of dy are exchanged in dw: each image is read as [J,I,F]",
        lambda dy: dy.reshape(len(dy), dy.shape[2], dy.shape[1], -1).swapaxes(1, 2),
    ),
    _dw_times(
        "dw-mean-over-an-image",
        "dw is divided by I*J: it is a sum",
        lambda case: 1 / (case.arrays["dy"].shape[1] * case.arrays["dy"].shape[2]),
    ),
    _dw_times(
        "dw-divided-by-the-stride", "dw is divided by stride^2: it is a sum", lambda c: 1 / c.params["stride"] ** 2
    ),
    Recipe(
        "dw-turned",
        SAME + "dw is computed as [F, C] and reshaped to [C, F]: it has to be transposed",
        after=lambda r, case: {**r, "dw": r["dw"].T.reshape(r["dw"].shape)},
    ),
    _dx_by("dx-weight-reshaped", "dx is made with w transposed, then reshaped", lambda w: w.T.reshape(w.shape)),
    _dx_by("dx-last-filter-only", "each filter overwrites dx: += is wanted", lambda w: kept(w, ALL, LAST)),
    _dx_by("dx-first-filter-only", "only the first filter counts in dx", lambda w: kept(w, ALL, FIRST)),
    _dx_by("dx-mean-over-filters", "dx is divided by F: it is a sum", lambda w: w / w.shape[1]),
)


def _y(name: str, sentence: str, formula: Formula) -> Recipe:
    """Y from x, hidden, w1, w2; hidden is right."""

    def after(results: Results, case: Case) -> Results:
        x, w1, w2 = (case.arrays[key] for key in ("x", "w1", "w2"))
        return {**results, "y": formula(x, results["hidden"], w1, w2)}

    return Recipe(name, SAME + sentence, after=after)


BLOCK = (
    _y("shortcut-subtracted", "the shortcut is subtracted: it is added", lambda x, h, w1, w2: cut(h @ w2 - x)),
    _y(
        "branch-subtracted",
        "the branch is subtracted from the shortcut: it is added",
        lambda x, h, w1, w2: cut(x - h @ w2),
    ),
    _y("shortcut-twice", "the shortcut is added twice", lambda x, h, w1, w2: cut(h @ w2 + 2 * x)),
    _y("branch-dropped", "the branch is missing: y is the ReLU of x", lambda x, h, w1, w2: cut(x)),
    _y(
        "branch-cut-first",
        "the branch goes through a ReLU before the sum, too",
        lambda x, h, w1, w2: cut(cut(h @ w2) + x),
    ),
    _y("product", "branch and shortcut are multiplied: add them", lambda x, h, w1, w2: cut(h @ w2 * x)),
    _y(
        "second-layer-past-the-relu",
        "the second layer gets what went into the first ReLU",
        lambda x, h, w1, w2: cut(x @ w1 @ w2 + x),
    ),
    _y("absolute", "what is negative is made positive: it has to become 0", lambda x, h, w1, w2: np.abs(h @ w2 + x)),
    _y(
        "w2-turned",
        "w2 is read as [C, M] and transposed",
        lambda x, h, w1, w2: cut(h @ w2.reshape(w2.shape[::-1]).T + x),
    ),
    Recipe(
        "w1-turned",
        SAME + "w1 is read as [M, C] and transposed",
        before=lambda c: c.but({"w1": c.arrays["w1"].reshape(c.arrays["w1"].shape[::-1]).T}),
    ),
)
