"""Known mistakes of the statistics: sums over other values, divided by other counts, squares that are none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab04_batch_norm.reference import over
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Recipe, Results


def values(x: Array) -> int:
    """How many values a channel has."""
    return int(x.size // x.shape[-1])


def _divided(name: str, sentence: str, count: Callable[[Array], float]) -> Recipe:
    """Both sums are divided by something else; the distances go from that wrong mean."""

    def mean(x: Array) -> Array:
        return x.sum(over(x)) / count(x)

    return told(name, sentence, slip(mean=mean, variance=lambda x: np.square(x - mean(x)).sum(over(x)) / count(x)))


def _mean(name: str, sentence: str, mean: Callable[[Array], Array]) -> Recipe:
    """The mean is another, and the distances go from there."""
    return told(name, sentence, slip(mean=mean, variance=lambda x: np.square(x - mean(x)).mean(over(x))))


def _variance(name: str, sentence: str, variance: Callable[[Array], Array]) -> Recipe:
    return told(name, sentence, slip(variance=variance))


def _exchanged(results: Results, case: Case) -> Results:
    return {**results, "mean": results["variance"], "variance": results["mean"]}


COUNTS = (
    _divided(
        "divided by the pixels",
        "sums are divided by H*W, the pixels of one image: a channel has M = N*H*W values",
        lambda x: x.size // (len(x) * x.shape[-1]),
    ),
    _divided(
        "divided by everything",
        "sums over a channel are divided by x.size: a channel has M = N*H*W values, without C",
        lambda x: x.size,
    ),
    _divided(
        "divided by the channels",
        "sums are divided by C, the number of channels: a channel has M = N*H*W values",
        lambda x: x.shape[-1],
    ),
    _mean("mean not divided", "the mean is the sum of the values: it is divided by M", lambda x: x.sum(over(x))),
    _mean(
        "mean of n-1",
        "the mean is divided by M - 1: a mean is divided by M",
        lambda x: x.sum(over(x)) / (values(x) - 1),
    ),
    _mean(
        "mean of magnitudes",
        "the mean is that of the magnitudes: x enters with its sign",
        lambda x: np.abs(x).mean(over(x)),
    ),
    _variance(
        "variance of n+1",
        "the sum of squares is divided by M + 1: by M",
        lambda x: x.var(over(x)) * values(x) / (values(x) + 1),
    ),
    _variance(
        "square of the mean added",
        "the square of the mean is added to the mean of x squared: it is subtracted",
        lambda x: np.square(x).mean(over(x)) + np.square(x.mean(over(x))),
    ),
    _variance(
        "square of the mean",
        "the variance is the square of the mean: it is the mean of the squared distances",
        lambda x: np.square(x.mean(over(x))),
    ),
    _variance(
        "distance from one mean",
        "the distances go from the mean of all channels together: each channel has a mean of its own",
        lambda x: np.square(x - x.mean()).mean(over(x)),
    ),
    _variance(
        "distance not squared",
        "the variance is the mean of x - mean, which is 0: distances are squared",
        lambda x: (x - x.mean(over(x))).mean(over(x)),
    ),
    told(
        "last sample only",
        "mean and variance are those of the last sample: they go over the whole batch",
        slip(mean=lambda x: x[-1:].mean(over(x)), variance=lambda x: x[-1:].var(over(x))),
    ),
    told(
        "last sample left out",
        "the last sample is left out of mean and variance: they go over the whole batch",
        slip(
            mean=lambda x: (x if len(x) < 2 else x[:-1]).mean(over(x)),
            variance=lambda x: (x if len(x) < 2 else x[:-1]).var(over(x)),
        ),
    ),
    told("mean and variance exchanged", "mean and variance change places: the mean comes first", after=_exchanged),
)

# Of the variance alone: it may become negative, and y then has no root.
NEGATIVE = (
    _variance(
        "mean not squared",
        "the variance is the mean of x squared less the mean: less the square of the mean",
        lambda x: np.square(x).mean(over(x)) - x.mean(over(x)),
    ),
    _variance(
        "variance turned",
        "the variance is negative: the mean of x squared comes first, less the square of the mean",
        lambda x: -x.var(over(x)),
    ),
)
