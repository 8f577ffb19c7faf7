"""Known mistakes of the running averages."""

from __future__ import annotations

import numpy as np

from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Case, Results


def _old(case: Case) -> Results:
    return {"new_mean": case.arrays["running_mean"], "new_var": case.arrays["running_var"]}


def _scaled_mean(results: Results, case: Case) -> Results:
    a, p = case.arrays, case.params
    return {**results, "new_mean": results["new_mean"] + p["momentum"] * (p["scale"] - 1) * a["mean"]}


def _scaled_sum(results: Results, case: Case) -> Results:
    old = (1 - case.params["momentum"]) * case.arrays["running_var"]
    return {**results, "new_var": results["new_var"] + (case.params["scale"] - 1) * old}


def _scaled_difference(results: Results, case: Case) -> Results:
    p = case.params
    return {**results, "new_var": results["new_var"] - p["momentum"] * (p["scale"] - 1) * case.arrays["running_var"]}


RUNNING = (
    told("not updated", "the running averages stay what they were", instead=_old),
    told(
        "momentum exchanged",
        "momentum weighs the old average and 1 - momentum the batch: here momentum is the part that moves",
        slip(blend=lambda old, batch, momentum: momentum * old + (1 - momentum) * batch),
    ),
    told(
        "old forgotten",
        "the averages become the batch's statistics: they move only a part of the way",
        slip(blend=lambda old, batch, momentum: batch),
    ),
    told(
        "old not decayed",
        "momentum times the batch is added to the whole old average: the old one is weighed by 1 - momentum",
        slip(blend=lambda old, batch, momentum: old + momentum * batch),
    ),
    told(
        "batch not weighed",
        "the whole batch is added to the decayed average: the batch is weighed by momentum",
        slip(blend=lambda old, batch, momentum: (1 - momentum) * old + batch),
    ),
    told(
        "moved away",
        "the averages move away from the batch: the sign of the difference is turned",
        slip(blend=lambda old, batch, momentum: old - momentum * (batch - old)),
    ),
    told(
        "biased variance",
        "the batch's variance enters as it is: `scale`, M/(M-1), makes it unbiased first",
        slip(unbiased=lambda variance, scale: variance),
    ),
    told(
        "scale divides",
        "the variance is divided by `scale`: M/(M-1) multiplies it",
        slip(unbiased=lambda variance, scale: variance / scale),
    ),
    told("mean scaled too", "the mean is multiplied by `scale` as well: only a variance is biased", after=_scaled_mean),
    told(
        "difference scaled",
        "`scale` multiplies the difference of the variances, the old one too: that is unbiased already",
        after=_scaled_difference,
    ),
    told(
        "old variance scaled too",
        "`scale` multiplies the old running variance as well: that is unbiased already",
        after=_scaled_sum,
    ),
    told(
        "mean for variance",
        "the batch's mean enters the running variance",
        lambda case: case.but({"variance": case.arrays["mean"]}),
    ),
    told(
        "deviation averaged",
        "the root of the batch's variance enters the running variance",
        lambda case: case.but({"variance": np.sqrt(case.arrays["variance"])}),
    ),
    *(
        told(name, sentence, slip(blend=blend))
        for name, sentence, blend in (
            ("momentum squared", "momentum is squared", lambda old, new, m: (1 - m**2) * old + m**2 * new),
            (
                "momentum is 0.1",
                "momentum is taken for 0.1: it is a parameter",
                lambda old, new, m: 0.9 * old + 0.1 * new,
            ),
            (
                "halfway",
                "the averages move halfway: momentum is the part that moves",
                lambda old, new, m: (old + new) / 2,
            ),
            (
                "not weighed",
                "old and new are added whole: 1 - momentum and momentum weigh them",
                lambda old, new, m: old + new,
            ),
            (
                "both by momentum",
                "momentum weighs the old average too: 1 - momentum does",
                lambda old, new, m: m * (old + new),
            ),
            (
                "both by 1 - momentum",
                "1 - momentum weighs the batch too: momentum does",
                lambda old, new, m: (1 - m) * (old + new),
            ),
            ("batch subtracted", "the batch is subtracted: it is added", lambda old, new, m: (1 - m) * old - m * new),
            (
                "updated twice",
                "the averages are updated twice with the same batch",
                lambda old, new, m: (1 - m) ** 2 * old + (1 - (1 - m) ** 2) * new,
            ),
        )
    ),
    told(
        "scaled twice",
        "`scale` multiplies the variance twice",
        slip(unbiased=lambda variance, scale: scale**2 * variance),
    ),
    told(
        "root of the scale",
        "the root of `scale` multiplies the variance: that is for a standard deviation",
        slip(unbiased=lambda variance, scale: np.sqrt(scale) * variance),
    ),
    told(
        "variance squared",
        "the square of the variance enters: it is one already",
        lambda case: case.but({"variance": case.arrays["variance"] ** 2}),
    ),
    told(
        "variance for mean",
        "the batch's variance enters the running mean",
        lambda case: case.but({"mean": case.arrays["variance"]}),
    ),
    told(
        "batch's statistics exchanged",
        "the batch's mean enters the running variance, and its variance the running mean",
        lambda case: case.but({"mean": case.arrays["variance"], "variance": case.arrays["mean"]}),
    ),
    told(
        "averages exchanged",
        "the running mean and the running variance change places",
        after=lambda results, case: {"new_mean": results["new_var"], "new_var": results["new_mean"]},
    ),
)
