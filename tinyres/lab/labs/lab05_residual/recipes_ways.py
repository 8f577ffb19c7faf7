"""Known mistakes of the block's gradients: both ways back, masks, and what is summed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import reference
from tinyres.lab.labs.lab05_residual.recipes import SAME
from tinyres.lab.labs.lab05_residual.recipes_pixels import ALL, BUT_LAST, FIRST, LAST, kept
from tinyres.lab.task import Case, Recipe, Results

Array = Any


def cut(x: Array) -> Array:
    """Its ReLU."""
    return np.maximum(x, 0)


def _step(name: str, sentence: str, **steps: Any) -> Recipe:
    """Another step on the way back."""
    return Recipe(name, SAME + sentence, before=lambda case: case.but(**steps))


def _after(name: str, sentence: str, change: Callable[[Results, dict[str, Array]], Results]) -> Recipe:
    """Some of the results otherwise, from the right ones and the arrays."""
    return Recipe(name, SAME + sentence, after=lambda results, case: {**results, **change(results, case.arrays)})


def _sum_over(a: Array, b: Array) -> Array:
    return np.einsum("nhwa,nhwb->ab", a, b)


def _dsum(a: dict[str, Array]) -> Array:
    return a["dy"] * (a["y"] > 0)


def _weights_of(name: str, sentence: str, change: Callable[[Array], Array]) -> Recipe:
    """Both gradients of weights from some of the errors; dx is right."""

    def after(results: Results, case: Case) -> Results:
        other = reference.block_gradient(case.but({"dy": change(case.arrays["dy"])}))
        return {**other, "dx": results["dx"]}

    return Recipe(name, SAME + sentence, after=after)


def _turned(w: Array) -> Array:
    """[A, B] read as [B, A] and turned round."""
    return w.reshape(w.shape[::-1]).T


BLOCK_GRADIENT = (
    _step("shortcut-twice", "the shortcut's gradient is added twice", along=lambda dsum, dy, x: 2 * dsum),
    _step(
        "shortcut-subtracted",
        "the gradient of the shortcut is subtracted: the two are added",
        along=lambda dsum, dy, x: -dsum,
    ),
    _step(
        "mask-of-x-on-the-shortcut",
        "the shortcut's gradient passes only where x is positive: nothing stands on the shortcut",
        along=lambda dsum, dy, x: dsum * (x > 0),
    ),
    _step("last-mask-inverted", "the mask of the last ReLU is the wrong way round", last=lambda dy, y: dy * (y <= 0)),
    _step("times-y", "the gradient is multiplied by y itself: the derivative is 1 or 0", last=lambda dy, y: dy * y),
    _step("last-mask-alone", "dy is left out: its place is taken by the mask", last=lambda dy, y: (y > 0) * 1.0),
    _step(
        "inner-mask-inverted",
        "the mask of the first ReLU is the wrong way round",
        inner=lambda gradient, hidden: gradient * (hidden <= 0),
    ),
    _step("branch-halved", "the branch gets half of the gradient: it gets all of it", branch=lambda dsum, dy: dsum / 2),
    _step("branch-twice", "the branch gets the gradient twice", branch=lambda dsum, dy: 2 * dsum),
    _after(
        "dx-masked-by-y",
        "the last ReLU's mask is applied to dx once more: it belongs to the sum, not to x",
        lambda r, a: {"dx": r["dx"] * (a["y"] > 0)},
    ),
    _after(
        "dx-masked-by-x",
        "dx passes only where x is positive: no ReLU stands in front of this block",
        lambda r, a: {"dx": r["dx"] * (a["x"] > 0)},
    ),
    _after(
        "dx-without-inner-mask",
        "dx is made without the first ReLU's mask; dw1 is right",
        lambda r, a: {"dx": _dsum(a) + _dsum(a) @ a["w2"].T @ a["w1"].T},
    ),
    _after(
        "dx-w1-turned",
        "dx is made with w1 read as [M, C]: multiply by its transpose",
        lambda r, a: {"dx": _dsum(a) + ((_dsum(a) @ a["w2"].T) * (a["hidden"] > 0)) @ _turned(a["w1"]).T},
    ),
    Recipe(
        "w2-turned",
        SAME + "the way back goes through w2 read as [C, M]: multiply by its transpose",
        before=lambda case: case.but({"w2": _turned(case.arrays["w2"])}),
    ),
    _after(
        "dw2-after-dx",
        "dw2 is made with dx: the sum's gradient has been written over",
        lambda r, a: {"dw2": _sum_over(a["hidden"], r["dx"])},
    ),
    _after(
        "dw2-of-the-mask",
        "dw2 is made with hidden's mask, 1 or 0: hidden itself is wanted",
        lambda r, a: {"dw2": _sum_over(a["hidden"] > 0, _dsum(a))},
    ),
    _after(
        "dw2-of-y", "dw2 is made with y, not with its gradient", lambda r, a: {"dw2": _sum_over(a["hidden"], a["y"])}
    ),
    _after(
        "dw2-before-relu",
        "dw2 is made with what went into the first ReLU: hidden is what came out",
        lambda r, a: {"dw2": _sum_over(a["x"] @ a["w1"], _dsum(a))},
    ),
    _after(
        "dw1-of-hidden",
        "dw1 is made with hidden, not with its gradient",
        lambda r, a: {"dw1": _sum_over(a["x"], a["hidden"])},
    ),
    _after(
        "dw1-of-relu",
        "dw1 is made with the ReLU of x: x itself went into the first layer",
        lambda r, a: {"dw1": _sum_over(cut(a["x"]), ((_dsum(a) @ a["w2"].T) * (a["hidden"] > 0)))},
    ),
    _after(
        "dw1-of-y",
        "dw1 is made with y: x went into the first layer",
        lambda r, a: {"dw1": _sum_over(a["y"], ((_dsum(a) @ a["w2"].T) * (a["hidden"] > 0)))},
    ),
    _after(
        "dw1-past-the-last-relu",
        "dw1 is made with a gradient that has not gone through the last ReLU",
        lambda r, a: {"dw1": _sum_over(a["x"], (a["dy"] @ a["w2"].T) * (a["hidden"] > 0))},
    ),
    _after(
        "dw1-turned",
        "dw1 is computed as [M, C] and reshaped: it has to be transposed",
        lambda r, a: {"dw1": r["dw1"].T.reshape(r["dw1"].shape)},
    ),
    _after(
        "dw2-turned",
        "dw2 is computed as [C, M] and reshaped: it has to be transposed",
        lambda r, a: {"dw2": r["dw2"].T.reshape(r["dw2"].shape)},
    ),
    _after(
        "mean-over-pixels",
        "the gradients of the weights are divided by N*H*W: they are sums",
        lambda r, a: {name: r[name] * a["x"].shape[3] / a["x"].size for name in ("dw1", "dw2")},
    ),
    _after(
        "mean-over-an-image",
        "the gradients of the weights are divided by H*W: they are sums",
        lambda r, a: {name: r[name] / (a["x"].shape[1] * a["x"].shape[2]) for name in ("dw1", "dw2")},
    ),
    _weights_of(
        "weights-first-image",
        "the gradients of the weights are made from the first image only",
        lambda dy: kept(dy, FIRST),
    ),
    _weights_of(
        "weights-last-image",
        "the gradients of the weights are made from the last image only: += is wanted",
        lambda dy: kept(dy, LAST),
    ),
    _weights_of(
        "weights-last-pixel",
        "the gradients of the weights are made from the last pixel only: += is wanted",
        lambda dy: kept(dy, ALL, LAST, LAST),
    ),
    _weights_of(
        "weights-last-row-missing",
        "the last row does not count in the gradients of the weights",
        lambda dy: kept(dy, ALL, BUT_LAST),
    ),
)
