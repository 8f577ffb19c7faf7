"""Batch norm in float64, in named steps that recipes exchange; without one, what `tinyres.kernels.naive` says too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.steps import step
from tinyres.lab.task import Array, Case, Results


def over(x: Array) -> tuple[int, ...]:
    """All axes but the last."""
    return tuple(range(x.ndim - 1))


STEPS: dict[str, Callable[..., Any]] = {
    "mean": lambda x: x.mean(over(x)),
    "variance": lambda x: x.var(over(x)),
    "normalising": lambda variance, count: variance,  # the variance that y is made with
    "centre": lambda x, mean: x - mean,
    "root": lambda variance, eps: np.sqrt(variance + eps),
    "scale": lambda xhat, gamma: gamma * xhat,
    "shift": lambda scaled, beta, gamma: scaled + beta,
    "unbiased": lambda variance, scale: scale * variance,
    "blend": lambda old, batch, momentum: (1 - momentum) * old + momentum * batch,
    "dgamma": lambda dy, xhat: (dy * xhat).sum(over(dy)),
    "dbeta": lambda dy, xhat: dy.sum(over(dy)),
    "count": lambda x: x.size // x.shape[-1],
    "mean path": lambda dbeta, count: dbeta / count,
    "variance path": lambda carried, dgamma, count: carried * dgamma / count,
    "carried": lambda x, centred, root: centred / root,
    "factor": lambda gamma, root: gamma / root,
    "sum": lambda dy, paths, factor, gamma: factor * (dy - paths),
    "group": lambda channel, size, groups: channel // size,
    "group block": lambda x, n: x[n],
    "group variance": lambda block: block.var(),
}


def _step(case: Case, name: str) -> Callable[..., Any]:
    return step(STEPS, case, name)


def _affine(case: Case, xhat: Array) -> Array:
    gamma, beta = case.arrays["gamma"], case.arrays["beta"]
    return _step(case, "shift")(_step(case, "scale")(xhat, gamma), beta, gamma)


def statistics(case: Case) -> Results:
    """The mean and the biased variance of each channel."""
    x = case.arrays["x"]
    return {"mean": _step(case, "mean")(x), "variance": _step(case, "variance")(x)}


def batch_norm_eval(case: Case) -> Results:
    """Normalised by statistics that are given."""
    a = case.arrays
    xhat = _step(case, "centre")(a["x"], a["mean"]) / _step(case, "root")(a["variance"], case.params["eps"])
    return {"y": _affine(case, xhat)}


def batch_norm(case: Case) -> Results:
    """Normalised by the batch's own statistics, and these."""
    own, x = statistics(case), case.arrays["x"]
    used = {"mean": own["mean"], "variance": _step(case, "normalising")(own["variance"], x.size // x.shape[-1])}
    return {**batch_norm_eval(case.but(used)), **own}


def running_averages(case: Case) -> Results:
    """Both averages after a batch."""
    a, momentum = case.arrays, case.params["momentum"]
    unbiased = _step(case, "unbiased")(a["variance"], case.params["scale"])
    blend = _step(case, "blend")
    return {
        "new_mean": blend(a["running_mean"], a["mean"], momentum),
        "new_var": blend(a["running_var"], unbiased, momentum),
    }


def parameter_gradients(case: Case) -> Results:
    """Of gamma and beta."""
    a = case.arrays
    xhat = _step(case, "centre")(a["x"], a["mean"]) / _step(case, "root")(a["variance"], case.params["eps"])
    return {"dgamma": _step(case, "dgamma")(a["dy"], xhat), "dbeta": _step(case, "dbeta")(a["dy"], xhat)}


def input_gradient(case: Case) -> Results:
    """Of x."""
    a = case.arrays
    root = _step(case, "root")(a["variance"], case.params["eps"])
    centred, count = _step(case, "centre")(a["x"], a["mean"]), _step(case, "count")(a["x"])
    carried = _step(case, "carried")(a["x"], centred, root)
    paths = _step(case, "mean path")(a["dbeta"], count) + _step(case, "variance path")(carried, a["dgamma"], count)
    factor = _step(case, "factor")(a["gamma"], root)
    return {"dx": _step(case, "sum")(a["dy"], paths, factor, a["gamma"])}


def group_norm(case: Case) -> Results:
    """Each sample and each group of neighbouring channels by its own mean and variance."""
    x, groups = case.arrays["x"], case.params["groups"]
    y = np.empty_like(x)
    group = np.array([_step(case, "group")(c, x.shape[-1] // groups, groups) for c in range(x.shape[-1])])
    for n in range(len(x)):
        for mine in (group == g for g in set(group.tolist())):
            block = _step(case, "group block")(x, n)[..., mine]
            root = _step(case, "root")(_step(case, "group variance")(block), case.params["eps"])
            y[n][..., mine] = _step(case, "centre")(x[n][..., mine], block.mean()) / root
    return {"y": _affine(case, y)}


def channels_first_gradient(case: Case) -> Results:
    """The three gradients for x of [N, C, H, W]."""
    last = case.but({name: np.moveaxis(case.arrays[name], 1, -1) for name in ("dy", "x")})
    both = parameter_gradients(last)
    dx = input_gradient(last.but(both))["dx"]
    return {"dx": np.moveaxis(dx, -1, 1), **both}
