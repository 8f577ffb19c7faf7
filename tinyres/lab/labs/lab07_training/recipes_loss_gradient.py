"""Known mistakes of the gradient of the loss, with smoothed labels too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab07_training.recipes_loss import overflowing_softmax
from tinyres.lab.labs.lab07_training.reference import softmax
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Results


def _unsafe_gradient(shift: Callable[[Array], Array]) -> Callable[[Case], Results]:
    """The softmax in the case's own type, something else than the row's largest logit taken away."""

    def instead(case: Case) -> Results:
        logits = case.arrays["logits"].astype(case.dtype)
        with np.errstate(all="ignore"):
            p = overflowing_softmax(logits - shift(logits)).astype(np.float64)
        p[np.arange(len(p)), case.arrays["labels"]] -= 1
        return {"dlogits": case.arrays["dloss"] * p / len(p)}

    return instead


def _exps(logits: Array) -> Array:
    return np.exp(logits - logits.max(1, keepdims=True))


def _log_softmax(logits: Array) -> Array:
    return logits - logits.max(1, keepdims=True) - np.log(_exps(logits).sum(1, keepdims=True))


_NO_N = told(
    "not divided by N",
    "the gradient is that of the sum of the losses: the loss is their mean, so divide by N",
    slip(divisor=lambda logits: 1),
)
_NO_DLOSS = told(
    "incoming gradient forgotten",
    "`dloss` is taken for 1: it multiplies everything",
    slip(incoming=lambda dloss: 1.0),
)

GRADIENT = (
    _NO_N,
    _NO_DLOSS,
    told(
        "max not subtracted",
        "the largest logit is not taken away first: exp overflows, and infinity by infinity is no number",
        instead=_unsafe_gradient(lambda logits: logits.dtype.type(0)),
    ),
    told(
        "max of the whole batch",
        "the largest logit of the whole batch is taken away: where a row has only small ones, all exps become 0",
        instead=_unsafe_gradient(np.max),
    ),
    told(
        "every label in every row",
        "1 is subtracted at all labels in all rows: `p[:, labels]`; each row has its own, `p[np.arange(N), labels]`",
        slip(target=lambda labels, like: np.isin(np.arange(like.shape[1]), labels) * np.ones((len(like), 1))),
    ),
    told(
        "normalised over the samples",
        "the exps are divided by their sum over the samples: over the classes of each sample",
        slip(probabilities=lambda logits: _exps(logits) / _exps(logits).sum(0)),
    ),
    told(
        "divided by the classes",
        "the gradient is divided by K: the mean is over the N samples",
        slip(divisor=lambda logits: logits.shape[1]),
    ),
    told(
        "divided by N*K",
        "the gradient is divided by N*K: the mean is over the N samples",
        slip(divisor=lambda logits: logits.size),
    ),
    told("label forgotten", "1 is not subtracted at the label", slip(target=lambda labels, like: 0.0)),
    told(
        "label added",
        "1 is added at the label: it is subtracted",
        slip(target=lambda labels, like: -np.eye(like.shape[1])[labels]),
    ),
    told(
        "sign",
        "the gradient has the other sign: softmax less one-hot",
        after=lambda results, case: {"dlogits": -results["dlogits"]},
    ),
    told(
        "1 after the division",
        "1 is subtracted at the label after the division by N: divide that as well",
        slip(target=lambda labels, like: np.eye(like.shape[1])[labels] * len(like)),
    ),
    told(
        "over the samples",
        "the softmax goes over the samples: it goes over the classes of each sample",
        slip(probabilities=lambda logits: softmax(logits.T).T),
    ),
    told(
        "not normalised",
        "the exps are not divided by their sum",
        slip(probabilities=_exps),
    ),
    told(
        "log of the softmax",
        "the log of the softmax stands where the softmax is wanted",
        slip(probabilities=_log_softmax),
    ),
)


SMOOTHED = (
    _NO_N,
    _NO_DLOSS,
    told("not smoothed", "the target is 1 on the label alone", slip(spread=lambda hot, s, classes: hot)),
    told(
        "not taken from the label",
        "the label keeps the whole 1: it gives `smoothing` away",
        slip(spread=lambda hot, s, classes: hot + s / classes),
    ),
    told(
        "not given to the others",
        "the label gives `smoothing` away and nobody gets it: each class gets smoothing / K",
        slip(spread=lambda hot, s, classes: (1 - s) * hot),
    ),
    told(
        "label without its part",
        "the label's target is 1 - smoothing alone: smoothing / K comes in addition, as on every class",
        slip(spread=lambda hot, s, classes: (1 - s) * hot + (1 - hot) * s / classes),
    ),
    told(
        "other classes only",
        "`smoothing` is shared among the other K - 1 classes: here the label gets its part of it too",
        slip(spread=lambda hot, s, classes: (1 - s) * hot + (1 - hot) * s / (classes - 1)),
    ),
    told(
        "all to each",
        "each class gets `smoothing`: it gets smoothing / K",
        slip(spread=lambda hot, s, classes: (1 - s) * hot + s),
    ),
)
