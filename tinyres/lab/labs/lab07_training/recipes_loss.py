"""Known mistakes of the loss and its gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab07_training.reference import softmax
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Results


def _in_its_type(formula: Callable[[Array, Array], Array]) -> Callable[[Case], Results]:
    """A formula that goes wrong by the range of the case's own type; what it yields may be no number."""

    def instead(case: Case) -> Results:
        with np.errstate(all="ignore"):
            logits, labels = case.arrays["logits"].astype(case.dtype), case.arrays["labels"]
            return {"loss": np.asarray(formula(logits, labels), np.float64)}

    return instead


def _own(values: Array, labels: Array) -> Array:
    return values[np.arange(len(labels)), labels]


def _overflowing_softmax(logits: Array) -> Array:
    e = np.exp(logits)
    return e / e.sum(1, keepdims=True)


def _unsafe_gradient(shift: Callable[[Array], Array]) -> Callable[[Case], Results]:
    """The softmax in the case's own type, something else than the row's largest logit taken away."""

    def instead(case: Case) -> Results:
        logits = case.arrays["logits"].astype(case.dtype)
        with np.errstate(all="ignore"):
            p = _overflowing_softmax(logits - shift(logits)).astype(np.float64)
        p[np.arange(len(p)), case.arrays["labels"]] -= 1
        return {"dlogits": case.arrays["dloss"] * p / len(p)}

    return instead


VALUE = (
    told(
        "max not subtracted",
        "the largest logit is not taken away first: exp overflows",
        instead=_in_its_type(lambda z, labels: np.mean(np.log(np.exp(z).sum(1)) - _own(z, labels))),
    ),
    told(
        "max of the whole batch",
        "the largest logit of the whole batch is taken away: where a row has only small ones, all exps become 0",
        instead=_in_its_type(lambda z, labels: np.mean(np.log(np.exp(z - z.max()).sum(1)) - _own(z - z.max(), labels))),
    ),
    told(
        "log of a probability that became 0",
        "the loss is -log of the softmax, which becomes 0 where a logit is small: subtract logs, without dividing",
        instead=_in_its_type(lambda z, labels: np.mean(-np.log(_own(softmax(z), labels)))),
    ),
    told(
        "overflow in the softmax",
        "the loss is -log of a softmax whose largest logit was not taken away: infinity by infinity is no number",
        instead=_in_its_type(lambda z, labels: np.mean(-np.log(_own(_overflowing_softmax(z), labels)))),
    ),
    told(
        "summed",
        "the losses are summed: the loss is their mean over the samples",
        slip(average=lambda losses, logits: losses.sum()),
    ),
    told(
        "divided by the classes too",
        "the mean goes over N*K: there are N losses, one a sample",
        slip(average=lambda losses, logits: losses.sum() / logits.size),
    ),
    told("sign", "the loss has the other sign", after=lambda results, case: {"loss": -results["loss"]}),
    told(
        "own logit of another height",
        "the largest logit is taken away under the exp, and not from the label's own logit",
        slip(own=lambda z, labels, logits: _own(logits, labels)),
    ),
    told(
        "own logit forgotten",
        "the logit of the label is left out: the loss is the log of the sum less that",
        slip(own=lambda z, labels, logits: 0.0),
    ),
    told(
        "log forgotten",
        "the sum of the exps enters without its log",
        slip(log_of_sum=lambda z: np.exp(z).sum(1)),
    ),
    told(
        "mean of the exps",
        "the exps are averaged over the classes: they are summed",
        slip(log_of_sum=lambda z: np.log(np.exp(z).mean(1))),
    ),
    told(
        "log to another base",
        "the log is that to base 10: the natural one undoes exp",
        slip(log_of_sum=lambda z: np.log10(np.exp(z).sum(1))),
    ),
    told(
        "only the largest",
        "the log of the sum is taken for the largest logit: the others count too",
        slip(log_of_sum=lambda z: 0.0),
    ),
    told(
        "exp of the own logit",
        "exp of the label's logit is subtracted: subtract the logit",
        slip(own=lambda z, labels, logits: np.exp(_own(z, labels))),
    ),
)


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
