"""Known mistakes with the variants of lab 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual.recipes import SAME, spread
from tinyres.lab.task import Case, Recipe, Results

Array = Any


def _cut(x: Array) -> Array:
    return np.maximum(x, 0)


def _moved(place: Callable[[Array, int], Array]) -> Callable[[Results, Case], Results]:
    """Other channels of y [N, channels, I, J], of which the first C are those of x."""
    return lambda results, case: {"y": place(results["y"], case.arrays["x"].shape[1])}


CHANNELS_FIRST = (
    Recipe(
        "zeros-in-front",
        SAME + "the zeros stand before the channels of x",
        after=_moved(lambda y, own: np.concatenate([y[:, own:], y[:, :own]], axis=1)),
    ),
    Recipe(
        "channels-repeated",
        SAME + "the new channels repeat those of x",
        after=_moved(lambda y, own: y[:, np.arange(y.shape[1]) % own]),
    ),
    Recipe(
        "corner",
        SAME + "neighbouring pixels are taken, not every stride-th",
        before=lambda case: case.but(
            {
                "x": case.arrays["x"][
                    :,
                    :,
                    : -(-case.arrays["x"].shape[2] // case.params["stride"]),
                    : -(-case.arrays["x"].shape[3] // case.params["stride"]),
                ]
            },
            stride=1,
        ),
    ),
)


def _averaged(name: str, sentence: str, formula: Callable[[Array, Array, int], Array]) -> Recipe:
    """Dx from the right one, dy's own channels and the stride."""
    return Recipe(
        name,
        SAME + sentence,
        after=lambda r, case: {
            "dx": formula(r["dx"], case.arrays["dy"][..., : case.params["shape"][3]], case.params["stride"])
        },
    )


AVERAGE = (
    _averaged(
        "not-divided",
        "each pixel gets the whole gradient: it has a share of 1 / stride^2 in the mean",
        lambda dx, dy, s: spread(dy, dx.shape, s),
    ),
    _averaged(
        "divided-by-the-stride",
        "the gradient is divided by the stride: a window has stride^2 pixels",
        lambda dx, dy, s: dx * s,
    ),
    _averaged(
        "first-pixel-only",
        "only the first pixel of a window gets the gradient, as in option A: all have their share",
        lambda dx, dy, s: dx * s**2 * _firsts(dx.shape, s),
    ),
    Recipe(
        "last-channels",
        SAME + "the last channels of dy are taken",
        before=lambda case: case.but({"dy": case.arrays["dy"][..., -case.params["shape"][3] :]}),
    ),
    Recipe(
        "tiled",
        SAME + "dy is tiled, not its pixels repeated: each window has one pixel of dy",
        instead=lambda case: {
            "dx": np.tile(
                case.arrays["dy"][..., : case.params["shape"][3]], (1, case.params["stride"], case.params["stride"], 1)
            )
            / case.params["stride"] ** 2
        },
    ),
)


def _firsts(shape: tuple[int, ...], stride: int) -> Array:
    mask = np.zeros((shape[1], shape[2], 1))
    mask[::stride, ::stride] = 1
    return mask


def _scaled(name: str, sentence: str, formula: Callable[[Array, Array, Array, Array], Results]) -> Recipe:
    """Of dy, the gradient at the sum, the shortcut and the scale; what it does not say is right."""

    def after(results: Results, case: Case) -> Results:
        return {
            **results,
            **formula(case.arrays["dy"], results["dbranch"], case.arrays["shortcut"], case.arrays["scale"]),
        }

    return Recipe(name, SAME + sentence, after=after)


def _unmasked(dy: Array, g: Array, shortcut: Array, scale: Array) -> Results:
    return {"dbranch": dy, "dshortcut": scale * dy, "dscale": np.array([(dy * shortcut).sum()])}


SCALED = (
    _scaled("no-mask", "the last ReLU has no mask", _unmasked),
    _scaled(
        "scale-left-out",
        "the shortcut gets the whole gradient: its scale is a factor of it",
        lambda dy, g, h, scale: {"dshortcut": g},
    ),
    _scaled(
        "divided", "the shortcut's gradient is divided by the scale", lambda dy, g, h, scale: {"dshortcut": g / scale}
    ),
    _scaled(
        "branch-scaled",
        "the branch's gradient is multiplied by the scale too",
        lambda dy, g, h, scale: {"dbranch": scale * g},
    ),
    _scaled(
        "dscale-without-shortcut",
        "the scale's gradient is the sum of the gradient alone: each is to be multiplied by the shortcut's value",
        lambda dy, g, h, scale: {"dscale": np.array([g.sum()])},
    ),
    _scaled(
        "dscale-mean",
        "the scale's gradient is a mean: it is a sum",
        lambda dy, g, h, scale: {"dscale": np.array([(g * h).mean()])},
    ),
    _scaled(
        "dscale-without-mask",
        "the scale's gradient is made with dy, before the mask",
        lambda dy, g, h, scale: {"dscale": np.array([(dy * h).sum()])},
    ),
    _scaled(
        "dscale-scaled",
        "the scale's gradient is multiplied by the scale",
        lambda dy, g, h, scale: {"dscale": scale * np.array([(g * h).sum()])},
    ),
)


def _ahead(name: str, sentence: str, formula: Callable[[Array, Array, Array, Array], Array]) -> Recipe:
    return Recipe(
        name,
        SAME + sentence,
        instead=lambda case: {"dx": formula(*(case.arrays[key] for key in ("dy", "x", "w1", "w2")))},
    )


def _branch(dy: Array, x: Array, w1: Array, w2: Array) -> Array:
    """What comes back through the branch, before the first ReLU's mask."""
    return ((dy @ w2.T) * (_cut(x) @ w1 > 0)) @ w1.T


PREACTIVATION = (
    _ahead(
        "branch-only", "the gradient of the shortcut is missing", lambda dy, x, w1, w2: _branch(dy, x, w1, w2) * (x > 0)
    ),
    _ahead("shortcut-only", "the gradient of the branch is missing", lambda dy, x, w1, w2: dy),
    _ahead(
        "no-first-mask",
        "the ReLU at the branch's beginning has no mask",
        lambda dy, x, w1, w2: dy + _branch(dy, x, w1, w2),
    ),
    _ahead(
        "mask-on-the-shortcut",
        "the first ReLU's mask is applied to the shortcut too: it stands in the branch",
        lambda dy, x, w1, w2: (dy + _branch(dy, x, w1, w2)) * (x > 0),
    ),
    _ahead(
        "no-inner-mask",
        "the ReLU between the layers has no mask",
        lambda dy, x, w1, w2: dy + (dy @ w2.T @ w1.T) * (x > 0),
    ),
    _ahead(
        "relu-left-out-inside",
        "the first ReLU is forgotten when the inside is computed again",
        lambda dy, x, w1, w2: dy + (((dy @ w2.T) * (x @ w1 > 0)) @ w1.T) * (x > 0),
    ),
    _ahead(
        "halved",
        "the mean of the two ways is taken: they are added",
        lambda dy, x, w1, w2: (dy + _branch(dy, x, w1, w2) * (x > 0)) / 2,
    ),
)
