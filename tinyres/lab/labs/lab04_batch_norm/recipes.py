"""Known mistakes of batch norm forward and in evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab04_batch_norm.reference import over
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Results


def own(*names: str) -> Callable[[Case], Case]:
    """What puts the batch's own statistics for those that are given."""

    def before(case: Case) -> Case:
        x = case.arrays["x"]
        known = {"mean": x.mean(over(x)), "variance": x.var(over(x))}
        return case.but({name: known[name] for name in names})

    return before


def _count(x: Array) -> int:
    return int(x.size // x.shape[-1])


def _as_channels_first(x: Array) -> Array:
    """[C, M]: what a reshape makes of channels last if it takes them for channels first."""
    return x.reshape(x.shape[-1], -1)


def _with_eps(results: Results, case: Case) -> Results:
    return {**results, "variance": results["variance"] + case.params["eps"]}


def _less_mean(results: Results, case: Case) -> Results:
    return {**results, "y": results["y"] - results.get("mean", case.arrays.get("mean"))}


# Of the statistics, wherever they are used.
STATISTICS = (
    told(
        "over the channels too",
        "mean and variance are taken over all axes: each channel wants its own, over all axes but the last",
        slip(mean=lambda x: np.full(x.shape[-1], x.mean()), variance=lambda x: np.full(x.shape[-1], x.var())),
    ),
    told(
        "channels taken as first",
        "x is reshaped to [C, -1]: channels are last here, so the values of a channel do not lie together",
        slip(mean=lambda x: _as_channels_first(x).mean(1), variance=lambda x: _as_channels_first(x).var(1)),
    ),
    told(
        "first sample only",
        "mean and variance are those of the first sample: they go over the whole batch",
        slip(mean=lambda x: x[:1].mean(over(x)), variance=lambda x: x[:1].var(over(x))),
    ),
    told(
        "variance of n-1",
        "the sum of squares is divided by M - 1: batch norm normalises by the biased variance, divided by M",
        slip(variance=lambda x: x.var(over(x), ddof=1)),
    ),
    told(
        "deviation for variance",
        "the variance is the standard deviation: its root is taken later",
        slip(variance=lambda x: x.std(over(x))),
    ),
    told(
        "mean square for variance",
        "the variance is the mean of x squared: the mean has to be subtracted first",
        slip(variance=lambda x: np.square(x).mean(over(x))),
    ),
    told(
        "variance not divided",
        "the variance is the sum of the squared distances: it wants to be divided by M",
        slip(variance=lambda x: x.var(over(x)) * _count(x)),
    ),
    told(
        "divided by the samples",
        "sums are divided by N, the number of samples: a channel has M = N*H*W values",
        slip(
            mean=lambda x: x.sum(over(x)) / len(x),
            variance=lambda x: np.square(x - x.sum(over(x)) / len(x)).sum(over(x)) / len(x),
        ),
    ),
    told(
        "variance within samples",
        "the variance is the mean of each sample's own variance: the distances go from the mean of the whole batch",
        slip(variance=lambda x: x.reshape(len(x), -1, x.shape[-1]).var(1).mean(0)),
    ),
    told(
        "absolute distance",
        "the variance is the mean absolute distance from the mean: distances are squared",
        slip(variance=lambda x: np.abs(x - x.mean(over(x))).mean(over(x))),
    ),
)

# Of y, whatever the statistics are.
NORMALISING = (
    told(
        "eps outside the root",
        "eps is added to the root of the variance: it stands under the root",
        slip(root=lambda variance, eps: np.sqrt(variance) + eps),
    ),
    told("no eps", "eps is left out: it is added to the variance", slip(root=lambda variance, eps: np.sqrt(variance))),
    told(
        "eps of its own",
        "eps is taken for 1e-5: it is a parameter",
        slip(root=lambda variance, eps: np.sqrt(variance + 1e-5)),
    ),
    told(
        "no root",
        "x - mean is divided by the variance plus eps: its root is wanted",
        slip(root=lambda variance, eps: variance + eps),
    ),
    told(
        "multiplied by the root",
        "x - mean is multiplied by the root: it is divided by it",
        slip(root=lambda variance, eps: 1 / np.sqrt(variance + eps)),
    ),
    told("not centred", "the mean is not subtracted from x", slip(centre=lambda x, mean: x)),
    told("mean added", "the mean is added to x: it is subtracted", slip(centre=lambda x, mean: x + mean)),
    told(
        "mean after the scale",
        "the mean is subtracted at the end, from gamma * x / root + beta: it is subtracted first, and scaled as well",
        slip(centre=lambda x, mean: x),
        after=_less_mean,
    ),
    told("gamma forgotten", "gamma is left out of y", slip(scale=lambda xhat, gamma: xhat)),
    told("beta forgotten", "beta is left out of y", slip(shift=lambda scaled, beta, gamma: scaled)),
    told(
        "beta scaled too",
        "beta is added before gamma multiplies: gamma scales xhat alone",
        slip(shift=lambda scaled, beta, gamma: scaled + gamma * beta),
    ),
    told(
        "gamma and beta exchanged",
        "gamma and beta change places: gamma scales, beta shifts",
        lambda case: case.but({"gamma": case.arrays["beta"], "beta": case.arrays["gamma"]}),
    ),
)

TRAINING = (
    told(
        "y by n-1",
        "y is made with the variance divided by M - 1, the variance itself being right: both are the biased one",
        slip(normalising=lambda variance, count: variance * count / (count - 1)),
    ),
    told(
        "eps in the variance",
        "the variance that is returned contains eps: eps belongs to y alone",
        after=_with_eps,
    ),
)

EVALUATION = (
    told(
        "statistics of the batch",
        "y is made with the mean and the variance of x: in evaluation those that are given are used",
        own("mean", "variance"),
    ),
    told(
        "variance of the batch",
        "y is made with the variance of x and the mean that is given: in evaluation both are given",
        own("variance"),
    ),
    told(
        "mean of the batch",
        "y is made with the mean of x and the variance that is given: in evaluation both are given",
        own("mean"),
    ),
)
