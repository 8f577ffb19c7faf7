"""Known mistakes with ReLU, alone and at the end of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.task import Recipe

SAME = "equals what you get if "
Array = Any


def _x(name: str, sentence: str, formula: Callable[[Array], Array]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=lambda case: {"y": formula(case.arrays["x"])})


RELU = (
    _x(
        "nan-swallowed",
        "a NaN becomes 0, because x > 0 is false for it: whoever hides a NaN hides the place where things went wrong",
        lambda x: np.where(x > 0, x, 0),
    ),
    _x(
        "leaky",
        "a hundredth of what is negative gets through: that is leaky ReLU",
        lambda x: np.where(x > 0, x, 0.01 * x),
    ),
    _x("absolute", "what is negative is made positive: it has to become 0", np.abs),
    _x("negative-part", "the negative part is kept: np.minimum in place of np.maximum", lambda x: np.minimum(x, 0)),
    _x("step", "the derivative is returned, 1 or 0, not the value", lambda x: (x > 0) * 1.0),
    _x("identity", "nothing is cut off", lambda x: x),
)


def _back(name: str, sentence: str, formula: Callable[[Array, Array], Array]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=lambda case: {"dx": formula(case.arrays["dy"], case.arrays["y"])})


RELU_GRADIENT = (
    _back(
        "mask-from-dy",
        "the mask is made from dy: where the *output* was positive decides, not the gradient",
        lambda dy, y: dy * (dy > 0),
    ),
    _back(
        "both-masks",
        "a gradient must be positive too to get through: only the output decides",
        lambda dy, y: dy * (dy > 0) * (y > 0),
    ),
    _back(
        "everything-passes",
        "the mask is y >= 0, which is true of every output of a ReLU: everything passes. It has to be y > 0",
        lambda dy, y: dy,
    ),
    _back(
        "leaky",
        "a hundredth gets through where the output was 0: that is leaky ReLU",
        lambda dy, y: np.where(y > 0, dy, 0.01 * dy),
    ),
    _back(
        "half-at-zero",
        "half of dy gets through where the output was 0: the derivative is taken as 0 there",
        lambda dy, y: np.where(y > 0, dy, 0.5 * dy),
    ),
    _back(
        "times-y", "dy is multiplied by the output: where that was positive the derivative is 1", lambda dy, y: dy * y
    ),
    _back("mask-alone", "dy is left out: the result is the mask", lambda dy, y: (y > 0) * 1.0),
    _back("mask-inverted", "dy passes where the output was 0, and only there", lambda dy, y: dy * (y <= 0)),
    _back("relu-of-dy-plus-y", "the ReLU is applied once more, to dy + y", lambda dy, y: np.maximum(dy + y, 0)),
)


def _sum(name: str, sentence: str, formula: Callable[[Array, Array], Array]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=lambda case: {"y": formula(case.arrays["a"], case.arrays["b"])})


def _cut(x: Array) -> Array:
    return np.maximum(x, 0)


ADD_RELU = (
    _sum(
        "nan-swallowed",
        "a NaN becomes 0, because a comparison with it is false: it has to stay",
        lambda a, b: np.where(a + b > 0, a + b, 0),
    ),
    _sum(
        "relu-before-the-sum", "the ReLU comes before the sum, in both ways: add first", lambda a, b: _cut(a) + _cut(b)
    ),
    _sum(
        "relu-of-the-branch",
        "only the first array goes through the ReLU, and the second is added behind it",
        lambda a, b: _cut(a) + b,
    ),
    _sum(
        "relu-of-the-shortcut",
        "only the second array goes through the ReLU, and the first is added behind it",
        lambda a, b: a + _cut(b),
    ),
    _sum("no-relu", "there is no ReLU after the sum", lambda a, b: a + b),
    _sum("shortcut-dropped", "the second array is not added: the shortcut is missing", lambda a, b: _cut(a)),
    _sum("branch-dropped", "the first array is not added: only the shortcut is left", lambda a, b: _cut(b)),
    _sum("mean", "the mean of the two is taken: add them", lambda a, b: _cut((a + b) / 2)),
    _sum("difference", "the second array is subtracted", lambda a, b: _cut(a - b)),
    _sum("product", "the two are multiplied: add them", lambda a, b: _cut(a * b)),
    _sum(
        "leaky",
        "a hundredth of what is negative gets through: that is leaky ReLU",
        lambda a, b: np.where(a + b > 0, a + b, 0.01 * (a + b)),
    ),
)
