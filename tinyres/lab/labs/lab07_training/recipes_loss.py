"""Known mistakes of the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab07_training.reference import softmax
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Recipe, Results


def _in_its_type(formula: Callable[[Array, Array], Array]) -> Callable[[Case], Results]:
    """A formula that goes wrong by the range of the case's own type; what it yields may be no number."""

    def instead(case: Case) -> Results:
        with np.errstate(all="ignore"):
            logits, labels = case.arrays["logits"].astype(case.dtype), case.arrays["labels"]
            return {"loss": np.asarray(formula(logits, labels), np.float64)}

    return instead


def _own(values: Array, labels: Array) -> Array:
    return values[np.arange(len(labels)), labels]


def overflowing_softmax(logits: Array) -> Array:
    """No logit is taken away first."""
    e = np.exp(logits)
    return e / e.sum(1, keepdims=True)


def _with_a_little(much: float) -> Recipe:
    """What people add so that the log does not see a 0."""

    def instead(case: Case) -> Results:
        p = _own(softmax(case.arrays["logits"]), case.arrays["labels"])
        return {"loss": np.asarray(-np.log(p + much).mean())}

    sentence = f"{much:g} is added to the softmax so that its log is finite: that is a wrong loss instead of none"
    return told(f"{much:g} inside the log", sentence, instead=instead)


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
        instead=_in_its_type(lambda z, labels: np.mean(-np.log(_own(overflowing_softmax(z), labels)))),
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
    *(_with_a_little(much) for much in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)),
)
