"""Known mistakes of y: eps, the root, gamma and beta in another place, and statistics of other values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab04_batch_norm.recipes_counts import values
from tinyres.lab.labs.lab04_batch_norm.reference import over
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Recipe, Results


def _given(case: Case) -> tuple[Array, Array]:
    """Mean and variance: those that came, or in training those of the batch."""
    x, a = case.arrays["x"], case.arrays
    return (a["mean"], a["variance"]) if "mean" in a else (x.mean(over(x)), x.var(over(x)))


def _other(name: str, sentence: str, formula: Callable[..., Array]) -> Recipe:
    """Another formula for y; in training the statistics come out right."""

    def instead(case: Case) -> Results:
        (mean, variance), a = _given(case), case.arrays
        y = formula(a["x"], a["gamma"], a["beta"], mean, variance, case.params["eps"])
        return {"y": y} if "mean" in a else {"y": y, "mean": mean, "variance": variance}

    return told(name, sentence, instead=instead)


def _eps_is(much: float) -> Recipe:
    return told(
        f"eps is {much:g}",
        f"eps is taken for {much:g}: it is a parameter",
        slip(root=lambda variance, eps: np.sqrt(variance + much)),
    )


def _root(name: str, sentence: str, root: Callable[[Array, float], Any]) -> Recipe:
    return told(name, sentence, slip(root=root))


# What stands below the line, forward and backward.
ROOTS = (
    _eps_is(1e-3),
    _eps_is(1e-6),
    _eps_is(1e-8),
    _root("eps twice", "eps is added to the variance twice", lambda variance, eps: np.sqrt(variance + 2 * eps)),
    _root(
        "eps squared",
        "eps is squared under the root: it is added as it is",
        lambda variance, eps: np.sqrt(variance + eps**2),
    ),
    _root(
        "eps under its own root",
        "the roots of variance and eps are added: one root is taken of their sum",
        lambda variance, eps: np.sqrt(variance) + np.sqrt(eps),
    ),
    _root(
        "eps inside and outside",
        "eps is added under the root and once more outside",
        lambda variance, eps: np.sqrt(variance + eps) + eps,
    ),
    _root(
        "variance squared",
        "the variance is squared under the root, as if it were the standard deviation",
        lambda variance, eps: np.sqrt(variance**2 + eps),
    ),
    _root(
        "root twice",
        "the root is taken twice: once, of variance plus eps",
        lambda variance, eps: np.sqrt(np.sqrt(variance + eps)),
    ),
    _root(
        "root of the deviation",
        "the root is that of the standard deviation plus eps: of the variance plus eps",
        lambda variance, eps: np.sqrt(np.sqrt(variance) + eps),
    ),
)

PLACES = (
    *ROOTS,
    _root("not divided", "x - mean is not divided by the root", lambda variance, eps: 1.0),
    told(
        "x for xhat",
        "y is gamma*x + beta: the mean is subtracted from x first, and the root divides",
        slip(centre=lambda x, mean: x, root=lambda variance, eps: 1.0),
    ),
    told("distance turned", "y is made with mean - x: with x - mean", slip(centre=lambda x, mean: mean - x)),
    told("distance as magnitude", "the sign of x - mean is lost", slip(centre=lambda x, mean: np.abs(x - mean))),
    told(
        "distance squared",
        "x - mean is squared: only the variance has squares",
        slip(centre=lambda x, mean: (x - mean) ** 2),
    ),
    told(
        "gamma divides",
        "xhat is divided by gamma: gamma multiplies it",
        slip(scale=lambda xhat, gamma: xhat / gamma),
    ),
    told("gamma added", "gamma is added to xhat: it multiplies it", slip(scale=lambda xhat, gamma: xhat + gamma)),
    told(
        "1 added to gamma",
        "xhat is multiplied by 1 + gamma: by gamma",
        slip(scale=lambda xhat, gamma: (1 + gamma) * xhat),
    ),
    told("gamma squared", "gamma multiplies twice", slip(scale=lambda xhat, gamma: gamma**2 * xhat)),
    told("gamma as magnitude", "the sign of gamma is lost", slip(scale=lambda xhat, gamma: np.abs(gamma) * xhat)),
    told("beta subtracted", "beta is subtracted: it is added", slip(shift=lambda scaled, beta, gamma: scaled - beta)),
    told("beta twice", "beta is added twice", slip(shift=lambda scaled, beta, gamma: scaled + 2 * beta)),
    told("beta multiplies", "beta multiplies: it is added", slip(shift=lambda scaled, beta, gamma: scaled * beta)),
    told(
        "gamma for beta",
        "gamma is added where beta is meant",
        slip(shift=lambda scaled, beta, gamma: scaled + gamma),
    ),
    told(
        "beta for gamma",
        "beta multiplies where gamma is meant, and is added too",
        lambda case: case.but({"gamma": case.arrays["beta"]}),
    ),
    _other(
        "beta divided too",
        "beta is added before the root divides: it is added at the end",
        lambda x, gamma, beta, mean, variance, eps: (gamma * (x - mean) + beta) / np.sqrt(variance + eps),
    ),
    _other(
        "gamma before the mean",
        "gamma multiplies x before the mean is subtracted: it multiplies x - mean",
        lambda x, gamma, beta, mean, variance, eps: (gamma * x - mean) / np.sqrt(variance + eps) + beta,
    ),
    _other(
        "mean not divided too",
        "the root divides x alone, and the mean is subtracted afterwards: the difference is divided",
        lambda x, gamma, beta, mean, variance, eps: gamma * (x / np.sqrt(variance + eps) - mean) + beta,
    ),
    _other(
        "eps above the line",
        "eps is added to x - mean: it belongs to the variance, under the root",
        lambda x, gamma, beta, mean, variance, eps: gamma * (x - mean + eps) / np.sqrt(variance) + beta,
    ),
    _other(
        "eps on xhat",
        "eps is added to xhat: it belongs to the variance, under the root",
        lambda x, gamma, beta, mean, variance, eps: gamma * ((x - mean) / np.sqrt(variance) + eps) + beta,
    ),
)


def _along(name: str, sentence: str, axes: Callable[[Array], tuple[int, ...]]) -> Recipe:
    """Y by the mean and variance along other axes."""

    def y(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float) -> Array:
        along = axes(x)
        distance = x - x.mean(along, keepdims=True)
        return gamma * distance / np.sqrt(x.var(along, keepdims=True) + eps) + beta

    return _other(name, sentence, y)


def _returned(name: str, sentence: str, variance: Callable[[Results, Case], Array]) -> Recipe:
    """Y is right, the variance that is returned is not."""
    return told(name, sentence, after=lambda results, case: {**results, "variance": variance(results, case)})


TRAINED = (
    _along(
        "y sample by sample",
        "each sample is normalised by its own mean and variance (instance norm): they go over the batch too",
        lambda x: tuple(range(1, x.ndim - 1)),
    ),
    _along(
        "y pixel by pixel",
        "each pixel is normalised by its own mean and variance over the samples: they go over the pixels too",
        lambda x: (0,),
    ),
    _along(
        "y along the channels",
        "mean and variance for y are taken along the channels (layer norm): over all axes but that",
        lambda x: (x.ndim - 1,),
    ),
    _along(
        "y over everything",
        "mean and variance for y are taken over all axes: each channel has its own",
        lambda x: tuple(range(x.ndim)),
    ),
    _along(
        "y over each sample",
        "mean and variance for y are taken over each whole sample: each channel has its own, over the batch",
        lambda x: tuple(range(1, x.ndim)),
    ),
    _returned(
        "deviation returned",
        "the standard deviation is returned: the variance is wanted",
        lambda results, case: np.sqrt(results["variance"]),
    ),
    _returned(
        "unbiased returned",
        "the variance that is returned is divided by M - 1: the biased one is wanted",
        lambda results, case: results["variance"] * values(case.arrays["x"]) / (values(case.arrays["x"]) - 1),
    ),
    _returned(
        "1/root returned",
        "1/sqrt(variance + eps) is returned: the variance is wanted",
        lambda results, case: 1 / np.sqrt(results["variance"] + case.params["eps"]),
    ),
)


def _made_unbiased(case: Case) -> Case:
    count = values(case.arrays["x"])
    return case.but({"variance": case.arrays["variance"] * count / (count - 1)})


EVALUATED = (
    told(
        "unbiased again",
        "the variance is multiplied by M/(M-1) before it is used: it is used as it is given",
        _made_unbiased,
    ),
    told(
        "both means",
        "the mean of x is subtracted, and then the mean that is given as well",
        lambda case: case.but({"mean": case.arrays["mean"] + case.arrays["x"].mean(over(case.arrays["x"]))}),
    ),
)
