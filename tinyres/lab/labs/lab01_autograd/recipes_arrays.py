"""Known mistakes with the derivatives of lab 1: other formulas, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.task import Case, Recipe, Results

SAME = "equals what you get if "
Array = Any


def _sum_to(name: str, sentence: str, formula: Callable[[Array, tuple[int, ...]], Array]) -> Recipe:
    return Recipe(
        name, SAME + sentence, instead=lambda case: {"y": formula(case.arrays["x"], tuple(case.params["shape"]))}
    )


def _split(x: Array, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that broadcasting wrote in front, and those along which it repeated."""
    extra = x.ndim - len(shape)
    repeated = (a for a in range(extra, x.ndim) if shape[a - extra] == 1 != x.shape[a])
    return tuple(range(extra)), tuple(repeated)


def _reduced(
    x: Array, shape: tuple[int, ...], new: Callable[..., Array], repeated: Callable[..., Array] | None = None
) -> Array:
    in_front, along = _split(x, shape)
    y = (repeated or new)(x, axis=along, keepdims=True) if along else x
    return (new(y, axis=in_front) if in_front else y).reshape(shape)


def _first(x: Array, axis: tuple[int, ...], keepdims: bool = False) -> Array:
    y = x[tuple(slice(1) if a in axis else slice(None) for a in range(x.ndim))]
    return y if keepdims else y.reshape([size for a, size in enumerate(y.shape) if a not in axis])


def _last_axes(x: Array, shape: tuple[int, ...]) -> Array:
    """New axes are taken to stand behind, which is possible where the shapes allow it."""
    axes = tuple(a for a, size in enumerate(x.shape) if a >= len(shape) or (shape[a] == 1 and size != 1))
    y = x.sum(axes)
    return y.reshape(shape) if y.size == np.prod(shape, dtype=int) else np.full(shape, np.nan)


def _one_axis(x: Array, shape: tuple[int, ...]) -> Array:
    axes = sorted(sum(_split(x, shape), ()))
    return x if not axes else _first(x.sum(axes[0], keepdims=True), tuple(axes)).reshape(shape)


SUM_TO = (
    _sum_to("mean", "copies are averaged: they have to be added up", lambda x, s: _reduced(x, s, np.mean)),
    _sum_to(
        "maximum", "the largest of the copies is taken: they have to be added up", lambda x, s: _reduced(x, s, np.max)
    ),
    _sum_to("first-copy", "the first copy is taken: all have to be added up", lambda x, s: _reduced(x, s, _first)),
    _sum_to(
        "new-axes-only",
        "only the axes in front, which are new, are summed: along an axis of length 1 values were copied too",
        lambda x, s: _reduced(x, s, np.sum, _first),
    ),
    _sum_to(
        "repeated-axes-only",
        "only the axes that had length 1 are summed: the axes in front are copies too",
        lambda x, s: _reduced(x, s, _first, np.sum),
    ),
    _sum_to(
        "new-axes-behind",
        "new axes are looked for behind the others: broadcasting writes them in front",
        _last_axes,
    ),
    _sum_to("one-axis", "only one of several axes is summed", _one_axis),
    _sum_to(
        "whole-sum",
        "all values are added up into one number, which is written everywhere",
        lambda x, s: x if x.shape == s else np.full(s, x.sum()),
    ),
)


def _pair(name: str, sentence: str, formula: Callable[[Array, Array, Array], tuple[Any, Any]]) -> Recipe:
    """Both gradients by a formula; a gradient that is not wanted stays away."""

    def instead(case: Case) -> Results:
        arrays = (case.arrays["dy"], case.arrays["a"], case.arrays["b"])
        found = (np.broadcast_to(each, arrays[0].shape) for each in formula(*arrays))
        return {key: np.array(g) * need for key, g, need in zip(("da", "db"), found, case.params["needs"], strict=True)}

    return Recipe(name, SAME + sentence, instead=instead)


NEEDS_IGNORED = Recipe(
    "needs-ignored",
    SAME + "both gradients are computed although only one is wanted: return None for the other",
    before=lambda case: case.but(needs=(True, True)),
)

PRODUCT = (
    _pair(
        "own-factor",
        "each factor is multiplied by itself: da is dy times the *other* factor",
        lambda dy, a, b: (dy * a, dy * b),
    ),
    _pair(
        "dy-left-out", "dy is left out: what comes from above is a factor of every derivative", lambda dy, a, b: (b, a)
    ),
    _pair("dy-alone", "dy is passed on as it is: that is the derivative of a sum", lambda dy, a, b: (dy, dy)),
    _pair("the-product-itself", "dy is multiplied by the product itself", lambda dy, a, b: (dy * a * b, dy * a * b)),
    _pair("divided", "dy is divided by the other factor", lambda dy, a, b: (dy / b, dy / a)),
    _pair("second-left-out", "only the first factor gets its gradient", lambda dy, a, b: (dy * b, 0.0)),
    NEEDS_IGNORED,
)

QUOTIENT = (
    _pair("sign", "the minus of db is missing", lambda dy, a, b: (dy / b, dy * a / b**2)),
    _pair("one-b", "db is -dy a / b: the derivative of 1/b is -1/b^2", lambda dy, a, b: (dy / b, -dy * a / b)),
    _pair("a-left-out", "db lacks the factor a", lambda dy, a, b: (dy / b, -dy / b**2)),
    _pair("as-a-product", "the rule of the product is used", lambda dy, a, b: (dy * b, dy * a)),
    _pair("exchanged", "da and db are exchanged", lambda dy, a, b: (-dy * a / b**2, dy / b)),
    _pair("dy-left-out", "dy is left out", lambda dy, a, b: (1 / b, -a / b**2)),
    _pair(
        "dy-squared", "db is made of da and multiplied by dy once more", lambda dy, a, b: (dy / b, -(dy**2) * a / b**2)
    ),
    _pair("second-left-out", "only the first operand gets its gradient", lambda dy, a, b: (dy / b, 0.0)),
    NEEDS_IGNORED,
)


def _softmax(name: str, sentence: str, formula: Callable[[Array, Array, int], Array]) -> Recipe:
    return Recipe(
        name,
        SAME + sentence,
        instead=lambda case: {"dx": formula(case.arrays["dy"], case.arrays["y"], case.params["axis"])},
    )


def _other_axis(dy: Array, y: Array, axis: int) -> Array:
    along = tuple(a for a in range(y.ndim) if a != axis % y.ndim)
    return y * (dy - (dy * y).sum(along, keepdims=True))


SOFTMAX = (
    _softmax(
        "no-sum",
        "each y_i depended on its own x_i alone, through e^x: the sum below the line is forgotten",
        lambda dy, y, axis: dy * y,
    ),
    _softmax(
        "sigmoid",
        "each y_i is a sigmoid: dy y (1 - y). The values of one row depend on each other",
        lambda dy, y, axis: dy * y * (1 - y),
    ),
    _softmax("y-not-in-the-sum", "dy is summed without y", lambda dy, y, axis: y * (dy - dy.sum(axis, keepdims=True))),
    _softmax(
        "sum-not-multiplied",
        "the sum is subtracted from dy y without being multiplied by y",
        lambda dy, y, axis: dy * y - (dy * y).sum(axis, keepdims=True),
    ),
    _softmax(
        "not-multiplied-by-y",
        "the factor y in front is missing",
        lambda dy, y, axis: dy - (dy * y).sum(axis, keepdims=True),
    ),
    _softmax(
        "mean",
        "the mean is taken instead of the sum",
        lambda dy, y, axis: y * (dy - (dy * y).mean(axis, keepdims=True)),
    ),
    _softmax(
        "plus",
        "the sum is added: it has to be subtracted",
        lambda dy, y, axis: y * (dy + (dy * y).sum(axis, keepdims=True)),
    ),
    _softmax(
        "sum-over-all",
        "the sum runs over the whole array, not along the axis",
        lambda dy, y, axis: y * (dy - (dy * y).sum()),
    ),
    _softmax("other-axis", "the sum runs along the other axes", _other_axis),
)
