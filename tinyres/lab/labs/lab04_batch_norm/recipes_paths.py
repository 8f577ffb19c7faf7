"""Known mistakes of the backward pass, term by term: dx = gamma/root * (dy - dbeta/M - xhat*dgamma/M)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab04_batch_norm.recipes_counts import values
from tinyres.lab.labs.lab04_batch_norm.recipes_places import ROOTS
from tinyres.lab.labs.lab04_batch_norm.reference import over
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Recipe


def _sums(name: str, sentence: str, dgamma: Callable[..., Array] | None, dbeta: Callable[..., Array] | None) -> Recipe:
    """One sum or both by another formula."""
    steps = {"dgamma": dgamma, "dbeta": dbeta}
    return told(name, sentence, slip(**{key: step for key, step in steps.items() if step}))


def _pixels(dy: Array) -> int:
    return int(dy.size // (len(dy) * dy.shape[-1]))


SUMS = (
    *ROOTS,
    told("mean added", "the mean is added where xhat is made: it is subtracted", slip(centre=lambda x, mean: x + mean)),
    told(
        "multiplied by the root",
        "x - mean is multiplied by the root: xhat is divided by it",
        slip(root=lambda variance, eps: 1 / np.sqrt(variance + eps)),
    ),
    _sums(
        "dgamma without xhat",
        "dgamma is the sum of dy, as dbeta is: of dy*xhat",
        lambda dy, xhat: dy.sum(over(dy)),
        None,
    ),
    _sums(
        "dbeta with xhat",
        "dbeta is the sum of dy*xhat, as dgamma is: of dy",
        None,
        lambda dy, xhat: (dy * xhat).sum(over(dy)),
    ),
    _sums("dbeta turned", "dbeta has the other sign", None, lambda dy, xhat: -dy.sum(over(dy))),
    _sums(
        "xhat squared",
        "dgamma is the sum of dy*xhat^2: of dy*xhat",
        lambda dy, xhat: (dy * xhat**2).sum(over(dy)),
        None,
    ),
    _sums(
        "dy squared", "dgamma is the sum of dy^2*xhat: of dy*xhat", lambda dy, xhat: (dy**2 * xhat).sum(over(dy)), None
    ),
    _sums(
        "dbeta of magnitudes",
        "dbeta is the sum of the magnitudes of dy: dy enters with its sign",
        None,
        lambda dy, xhat: np.abs(dy).sum(over(dy)),
    ),
    _sums(
        "divided by the pixels",
        "dgamma and dbeta are divided by H*W: they are sums",
        lambda dy, xhat: (dy * xhat).sum(over(dy)) / _pixels(dy),
        lambda dy, xhat: dy.sum(over(dy)) / _pixels(dy),
    ),
    _sums(
        "last sample only",
        "dgamma and dbeta are sums over the last sample: they go over the whole batch",
        lambda dy, xhat: (dy * xhat)[-1:].sum(over(dy)),
        lambda dy, xhat: dy[-1:].sum(over(dy)),
    ),
)


def _turned_gamma(power: float, *paths: str) -> Callable[[Case], Case]:
    """Gamma to some power in one path or both, beside the one that multiplies all."""
    formulas: dict[str, Callable[..., Any]] = {
        "mean_path": lambda dbeta, count: dbeta / count,
        "variance_path": lambda carried, dgamma, count: carried * dgamma / count,
    }

    def times(formula: Callable[..., Any], factor: Array) -> Callable[..., Any]:
        return lambda *terms: formula(*terms) * factor

    return lambda case: slip(**{path: times(formulas[path], case.arrays["gamma"] ** power) for path in paths})(case)


def _summed(name: str, sentence: str, sum_: Callable[..., Array]) -> Recipe:
    """The three terms come together in another way."""
    return told(name, sentence, slip(sum=sum_))


def _factor(name: str, sentence: str, factor: Callable[[Array, Array], Array]) -> Recipe:
    return told(name, sentence, slip(factor=factor))


def _carried(name: str, sentence: str, carried: Callable[[Array, Array, Array], Array]) -> Recipe:
    return told(name, f"the way through the variance {sentence}", slip(carried=carried))


def _count(name: str, sentence: str, count: Callable[[Array], float]) -> Recipe:
    return told(name, sentence, slip(count=count))


TERMS = (
    *ROOTS,
    _summed(
        "dy forgotten",
        "dx has the ways through mean and variance alone: dy itself goes straight to x too",
        lambda dy, paths, factor, gamma: -factor * paths,
    ),
    _summed(
        "both paths added",
        "the ways through mean and variance are added: both are subtracted",
        lambda dy, paths, factor, gamma: factor * (dy + paths),
    ),
    _summed("sign", "dx has the other sign", lambda dy, paths, factor, gamma: factor * (paths - dy)),
    _summed(
        "root on the paths alone",
        "dy is not divided by the root: all three terms are",
        lambda dy, paths, factor, gamma: gamma * dy - factor * paths,
    ),
    _summed(
        "root on dy alone",
        "the root divides dy alone: it divides the ways through mean and variance as well",
        lambda dy, paths, factor, gamma: factor * dy - gamma * paths,
    ),
    _summed(
        "gamma on the paths alone",
        "gamma multiplies the ways through mean and variance and not dy: it multiplies dy as well",
        lambda dy, paths, factor, gamma: factor * (dy / gamma - paths),
    ),
    told(
        "gamma missing in the mean path",
        "gamma is missing in the way through the mean: dbeta is a sum of dy, and gamma multiplies it as it does dy",
        _turned_gamma(-1, "mean_path"),
    ),
    told(
        "gamma missing in the variance path",
        "gamma is missing in the way through the variance: dgamma is a sum of dy*xhat, and gamma multiplies it too",
        _turned_gamma(-1, "variance_path"),
    ),
    told(
        "gamma twice in the mean path",
        "gamma multiplies the way through the mean twice",
        _turned_gamma(1, "mean_path"),
    ),
    told(
        "gamma twice in the variance path",
        "gamma multiplies the way through the variance twice: gamma*xhat stands there, or y, where xhat is meant",
        _turned_gamma(1, "variance_path"),
    ),
    told(
        "gamma twice in both paths",
        "gamma multiplies both ways through the statistics twice: once",
        _turned_gamma(1, "mean_path", "variance_path"),
    ),
    _factor("gamma squared", "gamma multiplies everything twice", lambda gamma, root: gamma**2 / root),
    _factor("gamma divides", "dx is divided by gamma: gamma multiplies it", lambda gamma, root: 1 / (gamma * root)),
    _factor("gamma as magnitude", "the sign of gamma is lost", lambda gamma, root: np.abs(gamma) / root),
    _factor("root multiplies", "dx is multiplied by the root: it is divided by it", lambda gamma, root: gamma * root),
    _factor("divided three times", "dx is divided by the root three times: once", lambda gamma, root: gamma / root**3),
    told(
        "mean path twice",
        "the way through the mean is subtracted twice: once",
        slip(mean_path=lambda dbeta, count: 2 * dbeta / count),
    ),
    told(
        "variance path twice",
        "the way through the variance has twice its size: the square's 2 and the root's 1/2 cancel",
        slip(variance_path=lambda carried, dgamma, count: 2 * carried * dgamma / count),
    ),
    told(
        "xhat in the mean path",
        "the way through the mean is multiplied by xhat: only that through the variance is",
        lambda case: slip(mean_path=lambda dbeta, count: dbeta / count * _xhat(case))(case),
    ),
    told(
        "dy for xhat",
        "the way through the variance is dy*dgamma/M: xhat*dgamma/M",
        lambda case: slip(carried=lambda x, centred, root: case.arrays["dy"])(case),
    ),
    _carried(
        "not centred", "has x/root where xhat is meant: the mean is not subtracted", lambda x, centred, root: x / root
    ),
    _carried(
        "root once too often", "is divided by the root once too often", lambda x, centred, root: centred / root**2
    ),
    _carried(
        "root twice too often", "is divided by the root twice too often", lambda x, centred, root: centred / root**3
    ),
    _carried("xhat squared", "has xhat squared: xhat alone", lambda x, centred, root: (centred / root) ** 2),
    _carried("xhat as magnitude", "has lost the sign of xhat", lambda x, centred, root: np.abs(centred / root)),
    _count("divided by the pixels", "the sums are divided by H*W: a channel has M = N*H*W values", _pixels),
    _count("divided by the channels", "the sums are divided by C: they are by M", lambda x: x.shape[-1]),
    _count("divided by everything", "the sums are divided by x.size: they are by M, without C", lambda x: x.size),
    _count("divided by M+1", "the sums are divided by M + 1: they are by M", lambda x: values(x) + 1),
    _count("divided by M twice", "the sums are divided by M twice: once", lambda x: values(x) ** 2),
    told(
        "M times dx",
        "dx is M times too large: in M*dy - dbeta - xhat*dgamma all of it is divided by M",
        after=lambda results, case: {"dx": results["dx"] * values(case.arrays["x"])},
    ),
    told(
        "M missing before dy",
        "dy is divided by M as the sums are: it is M*dy - dbeta - xhat*dgamma that is divided by M",
        lambda case: slip(sum=lambda dy, paths, factor, gamma: factor * (dy / values(case.arrays["x"]) - paths))(case),
    ),
)


def _xhat(case: Case) -> Array:
    a = case.arrays
    return (a["x"] - a["mean"]) / np.sqrt(a["variance"] + case.params["eps"])
