"""Known mistakes with option B and with the block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import reference
from tinyres.lab.labs.lab05_residual.recipes import (
    SAME,
    averaged,
    corner,
    first,
    largest,
    put,
    second,
    spread,
)
from tinyres.lab.task import Case, Recipe, Results

Array = Any


def _turned(w: Array) -> Array:
    """[C, F] read as [F, C] and turned round; the transpose where C is F."""
    return w.reshape(w.shape[::-1]).T


def _pixels(name: str, sentence: str, take: Callable[[Array, int], Array]) -> Recipe:
    def before(case: Case) -> Case:
        return case.but({"x": take(case.arrays["x"], case.params["stride"])}, stride=1)

    return Recipe(name, SAME + sentence, before=before)


PROJECT = (
    _pixels("corner", "neighbouring pixels are taken, from the corner: the stride is left out", first),
    _pixels(
        "offset",
        "every stride-th pixel is taken, but from the second on: begin with the first",
        second,
    ),
    _pixels(
        "average",
        "the mean of stride x stride pixels is projected: a 1x1 convolution sees the first of them only",
        averaged,
    ),
    _pixels(
        "maximum",
        "the largest of stride x stride pixels is projected: a 1x1 convolution sees the first of them only",
        largest,
    ),
    Recipe(
        "weight-turned",
        SAME + "w is read as [F, C] and transposed: its first axis are the channels of x",
        before=lambda case: case.but({"w": _turned(case.arrays["w"])}),
    ),
    Recipe(
        "relu",
        SAME + "a ReLU follows: the shortcut has none of its own",
        after=lambda results, case: {"y": np.maximum(results["y"], 0)},
    ),
)


def _dx(name: str, sentence: str, place: Callable[[Array, tuple[int, ...], int], Array]) -> Recipe:
    """The gradients of the pixels that were taken, put elsewhere."""

    def after(results: Results, case: Case) -> Results:
        x, stride = case.arrays["x"], case.params["stride"]
        return {**results, "dx": place(results["dx"][:, ::stride, ::stride], x.shape, stride)}

    return Recipe(name, SAME + sentence, after=after)


def _dw(name: str, sentence: str, formula: Callable[[Array, Case], Array]) -> Recipe:
    return Recipe(name, SAME + sentence, after=lambda results, case: {**results, "dw": formula(results["dw"], case)})


def _dw_of(name: str, sentence: str, take: Callable[[Array, int], Array]) -> Recipe:
    def formula(dw: Array, case: Case) -> Array:
        pixels = take(case.arrays["x"], case.params["stride"])
        return np.einsum("nijc,nijf->cf", pixels, case.arrays["dy"])

    return _dw(name, sentence, formula)


def _first_image(dw: Array, case: Case) -> Array:
    one = case.but({name: case.arrays[name][:1] for name in ("dy", "x")})
    return reference.project_gradient(one)["dw"]


PROJECT_GRADIENT = (
    _dx(
        "dx-spread", "every pixel of a window gets the gradient: only the one that was taken had any influence", spread
    ),
    _dx(
        "dx-spread-as-a-mean",
        "the gradient is shared out among the pixels of a window, as for a mean",
        lambda g, shape, s: spread(g, shape, s) / s**2,
    ),
    _dx(
        "dx-offset",
        "the gradients are put one pixel too far right and down",
        lambda g, shape, s: put(g, shape, s, 1 if s > 1 else 0),
    ),
    _dx(
        "dx-corner",
        "the gradients are put side by side into the corner, not on every stride-th pixel",
        lambda g, shape, s: corner(g, shape),
    ),
    _dw_of("dw-corner", "dy is multiplied by neighbouring pixels from the corner, not by those that were taken", first),
    _dw_of(
        "dw-offset",
        "dy is multiplied by the pixels next to those that were taken",
        second,
    ),
    _dw_of(
        "dw-average",
        "dy is multiplied by the means of stride x stride pixels, not by the pixels that were taken",
        averaged,
    ),
    _dw(
        "dw-mean-over-images",
        "dw is divided by the number of images: it is a sum, the loss has done the dividing",
        lambda dw, case: dw / len(case.arrays["dy"]),
    ),
    _dw(
        "dw-mean-over-pixels",
        "dw is divided by the number of pixels: it is a sum",
        lambda dw, case: dw / (case.arrays["dy"].size / case.arrays["dy"].shape[3]),
    ),
    _dw("dw-first-image", "dw is made from the first image only", _first_image),
    Recipe(
        "weight-turned",
        SAME + "dx is made with w read as [F, C]: it is [C, F], so multiply by its transpose",
        after=lambda results, case: {
            **results,
            "dx": reference.project_gradient(case.but({"w": _turned(case.arrays["w"])}))["dx"],
        },
    ),
)


def _y(name: str, sentence: str, formula: Callable[[Array, Array], Array]) -> Recipe:
    """Y from the branch's result and x."""

    def instead(case: Case) -> Results:
        hidden = reference.block(case)["hidden"]
        return {"hidden": hidden, "y": formula(hidden @ case.arrays["w2"], case.arrays["x"])}

    return Recipe(name, SAME + sentence, instead=instead)


def _cut(x: Array) -> Array:
    return np.maximum(x, 0)


def _linear(case: Case) -> Results:
    """Without the inner ReLU."""
    x, w1, w2 = (case.arrays[name] for name in ("x", "w1", "w2"))
    return {"hidden": x @ w1, "y": _cut(x @ w1 @ w2 + x)}


def _kept_too_early(case: Case) -> Results:
    """Hidden is what went into the ReLU."""
    return {**reference.block(case), "hidden": case.arrays["x"] @ case.arrays["w1"]}


BLOCK = (
    _y(
        "relu-before-the-sum",
        "the last ReLU comes before the shortcut is added: add first",
        lambda branch, x: _cut(branch) + x,
    ),
    _y(
        "relu-of-both",
        "branch and shortcut each go through a ReLU and are then added: add first",
        lambda branch, x: _cut(branch) + _cut(x),
    ),
    _y("shortcut-dropped", "the shortcut is missing: that is a plain block", lambda branch, x: _cut(branch)),
    _y("no-last-relu", "there is no ReLU after the sum", lambda branch, x: branch + x),
    _y("mean", "branch and shortcut are averaged: add them", lambda branch, x: _cut((branch + x) / 2)),
    _y(
        "shortcut-through-relu",
        "the shortcut goes through a ReLU before the sum: it is added as it is",
        lambda branch, x: _cut(branch + _cut(x)),
    ),
    Recipe("no-inner-relu", SAME + "there is no ReLU between the two layers: they are one layer then", instead=_linear),
    Recipe(
        "hidden-before-relu",
        SAME + "hidden is what went into the first ReLU: what came out is kept",
        instead=_kept_too_early,
    ),
)


def _step(name: str, sentence: str, **steps: Any) -> Recipe:
    """Another step on the way back: one of the STEPS of the reference."""
    return Recipe(name, SAME + sentence, before=lambda case: case.but(**steps))


def _only(name: str, sentence: str, formula: Callable[[dict[str, Array]], dict[str, Array]]) -> Recipe:
    """Some of the results by another formula, from the arrays."""
    return Recipe(name, SAME + sentence, after=lambda results, case: {**results, **formula(case.arrays)})


def _sum_over(a: Array, b: Array) -> Array:
    return np.einsum("nhwa,nhwb->ab", a, b)


def _subtracted(results: Results, case: Case) -> Results:
    shortcut = case.arrays["dy"] * (case.arrays["y"] > 0)
    return {**results, "dx": 2 * shortcut - results["dx"]}


def _halved(results: Results, case: Case) -> Results:
    return {**results, "dx": results["dx"] / 2}


BLOCK_GRADIENT = (
    _step(
        "branch-only",
        "x gets only what came through the branch: the gradient of the shortcut is missing",
        along=lambda dsum, dy, x: 0 * dsum,
    ),
    _only(
        "shortcut-only",
        "x gets only what came along the shortcut: the gradient of the branch is missing",
        lambda a: {"dx": a["dy"] * (a["y"] > 0)},
    ),
    Recipe(
        "branch-subtracted",
        SAME + "the gradient of the branch is subtracted from that of the shortcut: the two are added",
        after=_subtracted,
    ),
    Recipe(
        "halved",
        SAME + "the gradients of the two ways are averaged, or each gets half: a sum hands the whole to both",
        after=_halved,
    ),
    _step(
        "shortcut-halved",
        "the shortcut hands on half of the gradient: it hands on all of it",
        along=lambda dsum, dy, x: dsum / 2,
    ),
    _step(
        "shortcut-past-the-relu",
        "the shortcut's gradient goes past the last ReLU: the ReLU stands after the sum, its mask is for both ways",
        along=lambda dsum, dy, x: dy,
    ),
    _step("no-last-mask", "the last ReLU has no mask: dy goes on where y was 0, too", last=lambda dy, y: dy),
    _step(
        "branch-past-the-relu",
        "the branch's gradient goes past the last ReLU: its mask is for both ways",
        branch=lambda dsum, dy: dy,
    ),
    _step("no-inner-mask", "the ReLU between the layers has no mask", inner=lambda gradient, hidden: gradient),
    _step(
        "times-hidden",
        "the gradient through the first ReLU is multiplied by hidden itself: the derivative of ReLU is 1 or 0",
        inner=lambda gradient, hidden: gradient * hidden,
    ),
    _step(
        "inner-mask-from-the-gradient",
        "the mask of the first ReLU is made from the gradient: where hidden was positive decides",
        inner=lambda gradient, hidden: np.maximum(gradient, 0),
    ),
    _step(
        "last-mask-from-dy",
        "the mask of the last ReLU is made from dy: where y was positive decides",
        last=lambda dy, y: np.maximum(dy, 0),
    ),
    _step(
        "x-added",
        "x itself is added in its gradient: what comes along the shortcut is the gradient, not the value",
        along=lambda dsum, dy, x: x,
    ),
    _only(
        "dw1-without-mask",
        "dw1 is made with a gradient that has not gone through the first ReLU",
        lambda a: {"dw1": _sum_over(a["x"], (a["dy"] * (a["y"] > 0)) @ a["w2"].T)},
    ),
    _only(
        "dw2-without-mask",
        "dw2 is made with dy, before the last ReLU's mask",
        lambda a: {"dw2": _sum_over(a["hidden"], a["dy"])},
    ),
    Recipe(
        "mean-over-images",
        SAME + "the gradients of the weights are divided by the number of images: they are sums",
        after=lambda r, case: {**r, "dw1": r["dw1"] / len(case.arrays["x"]), "dw2": r["dw2"] / len(case.arrays["x"])},
    ),
)
