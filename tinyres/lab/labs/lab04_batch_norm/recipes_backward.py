"""Known mistakes of batch norm backward."""

from __future__ import annotations

import numpy as np

from tinyres.lab.labs.lab04_batch_norm.recipes import NORMALISING
from tinyres.lab.labs.lab04_batch_norm.reference import over
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Recipe


def known(*names: str) -> tuple[Recipe, ...]:
    """Mistakes of the forward pass by their names."""
    return tuple(recipe for recipe in NORMALISING if recipe.name in names)


def _unbiased(case: Case) -> Case:
    count = case.arrays["x"].size // case.arrays["variance"].size
    return case.but({"variance": case.arrays["variance"] * count / (count - 1)})


def _count(dy: Array) -> int:
    return int(dy.size // dy.shape[-1])


XHAT = (
    *known("eps outside the root", "no eps", "eps of its own", "no root"),
    told(
        "variance of n-1",
        "the variance is made unbiased before its root is taken: the forward pass used the one that is given",
        _unbiased,
    ),
)

PARAMETERS = (
    *XHAT,
    told(
        "x for xhat",
        "dgamma is the sum of dy*x: gamma multiplied xhat in the forward pass, not x",
        slip(centre=lambda x, mean: x, root=lambda variance, eps: 1.0),
    ),
    told(
        "xhat not divided",
        "dgamma is the sum of dy*(x - mean): xhat is divided by the root as well",
        slip(root=lambda variance, eps: 1.0),
    ),
    told("not centred", "the mean is not subtracted where xhat is made", slip(centre=lambda x, mean: x)),
    told(
        "dbeta averaged",
        "dbeta is the mean of dy: it is the sum",
        slip(dbeta=lambda dy, xhat: dy.mean(over(dy))),
    ),
    told(
        "dgamma averaged",
        "dgamma is the mean of dy*xhat: it is the sum",
        slip(dgamma=lambda dy, xhat: (dy * xhat).mean(over(dy))),
    ),
    told(
        "both averaged",
        "dgamma and dbeta are means: the mean over the batch is in dy already, here they are sums",
        slip(dgamma=lambda dy, xhat: (dy * xhat).mean(over(dy)), dbeta=lambda dy, xhat: dy.mean(over(dy))),
    ),
    told(
        "divided by the samples",
        "dgamma and dbeta are divided by N: the mean over the batch is in dy already",
        slip(
            dgamma=lambda dy, xhat: (dy * xhat).sum(over(dy)) / len(dy),
            dbeta=lambda dy, xhat: dy.sum(over(dy)) / len(dy),
        ),
    ),
    told(
        "exchanged",
        "dgamma and dbeta change places: dgamma comes first",
        after=lambda results, case: {"dgamma": results["dbeta"], "dbeta": results["dgamma"]},
    ),
    told(
        "product of sums",
        "dgamma is the sum of dy times the mean of xhat: the two are multiplied value by value, then summed",
        slip(dgamma=lambda dy, xhat: dy.sum(over(dy)) * xhat.mean(over(dy))),
    ),
    told(
        "dy forgotten",
        "dgamma is the sum of xhat squared: dy is left out",
        slip(dgamma=lambda dy, xhat: (xhat * xhat).sum(over(dy))),
    ),
    told(
        "first sample only",
        "dgamma and dbeta are sums over the first sample: they go over the whole batch",
        slip(dgamma=lambda dy, xhat: (dy * xhat)[:1].sum(over(dy)), dbeta=lambda dy, xhat: dy[:1].sum(over(dy))),
    ),
    told(
        "over the channels too",
        "dgamma and dbeta are sums over all axes: each channel has its own",
        slip(
            dgamma=lambda dy, xhat: np.full(dy.shape[-1], (dy * xhat).sum()),
            dbeta=lambda dy, xhat: np.full(dy.shape[-1], dy.sum()),
        ),
    ),
    told("dgamma turned", "dgamma has the other sign", slip(dgamma=lambda dy, xhat: -(dy * xhat).sum(over(dy)))),
)

INPUT = (
    *XHAT,
    told(
        "no mean path",
        "the way through the mean is left out: each x moves the mean, and that moves every y",
        slip(mean_path=lambda dbeta, count: 0.0),
    ),
    told(
        "no variance path",
        "the way through the variance is left out: each x moves the variance, and that moves every y",
        slip(variance_path=lambda carried, dgamma, count: 0.0),
    ),
    told(
        "statistics taken as constants",
        "mean and variance are taken as constants: that is the gradient of evaluation",
        slip(mean_path=lambda dbeta, count: 0.0, variance_path=lambda carried, dgamma, count: 0.0),
    ),
    told("gamma forgotten", "gamma is left out of dx", slip(factor=lambda gamma, root: 1 / root)),
    told("root forgotten", "the division by the root is left out of dx", slip(factor=lambda gamma, root: gamma)),
    told(
        "divided twice",
        "dx is divided by the root twice",
        slip(factor=lambda gamma, root: gamma / root**2),
    ),
    told(
        "sums for means",
        "the sums dbeta and dgamma stand in dx where means are wanted: divide them by M",
        slip(count=lambda x: 1),
    ),
    told(
        "sum in the mean path",
        "the way through the mean has the sum of dy where its mean is wanted: divide by M",
        slip(mean_path=lambda dbeta, count: dbeta),
    ),
    told(
        "sum in the variance path",
        "the way through the variance has the sum of dy*xhat where its mean is wanted: divide by M",
        slip(variance_path=lambda carried, dgamma, count: carried * dgamma),
    ),
    told(
        "divided by the samples",
        "the sums are divided by N: a channel has M = N*H*W values",
        slip(count=len),
    ),
    told("divided by M-1", "the sums are divided by M - 1: they are by M", slip(count=lambda x: _count(x) - 1)),
    told(
        "mean path added",
        "the way through the mean is added: it is subtracted",
        slip(mean_path=lambda dbeta, count: -dbeta / count),
    ),
    told(
        "variance path added",
        "the way through the variance is added: it is subtracted",
        slip(variance_path=lambda carried, dgamma, count: -carried * dgamma / count),
    ),
    told(
        "x for xhat",
        "the way through the variance has x where xhat is meant",
        slip(carried=lambda x, centred, root: x),
    ),
    told(
        "xhat not divided",
        "the way through the variance has x - mean where xhat is meant",
        slip(carried=lambda x, centred, root: centred),
    ),
    told(
        "power of the root",
        "the way through the variance lacks 1/s^2: the derivative of 1/s by the variance is -1/(2 s^3)",
        slip(carried=lambda x, centred, root: centred * root),
    ),
    told(
        "halved variance path",
        "the way through the variance has half its size: the square's 2 and the root's 1/2 cancel",
        slip(variance_path=lambda carried, dgamma, count: carried * dgamma / count / 2),
    ),
    told(
        "xhat forgotten",
        "the way through the variance is dgamma/M alone: it is times xhat",
        slip(carried=lambda x, centred, root: 1.0),
    ),
    told(
        "gamma on dy alone",
        "gamma multiplies dy alone: it multiplies the ways through mean and variance as well",
        slip(sum=lambda dy, paths, factor, gamma: factor * (dy - paths / gamma)),
    ),
    told(
        "exchanged",
        "dgamma and dbeta change places in dx",
        lambda case: case.but({"dgamma": case.arrays["dbeta"], "dbeta": case.arrays["dgamma"]}),
    ),
    told(
        "averaged",
        "dx is divided by M as a whole: only the sums are",
        after=lambda results, case: {"dx": results["dx"] / _count(case.arrays["x"])},
    ),
)
