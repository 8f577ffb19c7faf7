"""More known mistakes of the loss: labels looked up elsewhere, other sums, other losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab07_training.reference import one_hot, softmax
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Recipe


def _own(values: Array, labels: Array) -> Array:
    return values[np.arange(len(labels)), labels]


def _loss(name: str, sentence: str, formula: Callable[[Array, Array], Array]) -> Recipe:
    """Another loss, of the logits and the labels."""
    return told(
        name,
        sentence,
        instead=lambda case: {"loss": np.asarray(formula(case.arrays["logits"], case.arrays["labels"]), np.float64)},
    )


def _labels(name: str, sentence: str, label: Callable[[Array, Array], Array]) -> Recipe:
    """Other labels."""

    def before(case: Case) -> Case:
        return case.but({"labels": label(case.arrays["labels"], case.arrays["logits"])})

    return told(name, sentence, before)


LABELS = (
    _labels(
        "labels less 1",
        "labels are taken to begin at 1: they begin at 0, so label 0 meets the last class",
        lambda labels, logits: (labels - 1) % logits.shape[1],
    ),
    _labels(
        "labels plus 1",
        "1 is added to the labels: class k has the label k",
        lambda labels, logits: (labels + 1) % logits.shape[1],
    ),
    _labels(
        "label of the first sample",
        "the label of the first sample is used for all",
        lambda labels, logits: np.full_like(labels, labels[0]),
    ),
    _labels(
        "first class for the label",
        "the first class is used for every label",
        lambda labels, logits: np.zeros_like(labels),
    ),
    _labels(
        "labels in reverse order",
        "the labels are taken in reverse order",
        lambda labels, logits: labels[::-1],
    ),
)


def _log_softmax(z: Array) -> Array:
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


MORE_VALUE = (
    *LABELS,
    told(
        "divided by the classes",
        "the sum of the losses is divided by K: by N",
        slip(average=lambda losses, z: losses.sum() / z.shape[1]),
    ),
    told(
        "divided by N twice",
        "the losses are divided by N twice: once",
        slip(average=lambda losses, z: losses.mean() / len(z)),
    ),
    told(
        "first sample only",
        "the loss is that of the first sample: the mean over all",
        slip(average=lambda losses, z: losses[0]),
    ),
    told(
        "last sample only",
        "the loss is that of the last sample: the mean over all",
        slip(average=lambda losses, z: losses[-1]),
    ),
    told("largest loss", "the loss is the largest of all: their mean", slip(average=lambda losses, z: losses.max())),
    told(
        "root mean square",
        "the loss is the root of the mean square of the losses: their mean",
        slip(average=lambda losses, z: np.sqrt(np.square(losses).mean())),
    ),
    told(
        "log to base 2",
        "the log is that to base 2: the natural one undoes exp",
        slip(log_of_sum=lambda z: np.log2(np.exp(z).sum(1))),
    ),
    told(
        "1 added in the log", "1 is added to the sum in the log", slip(log_of_sum=lambda z: np.log1p(np.exp(z).sum(1)))
    ),
    told("sum of the logs", "the logs are summed: the log of the sum is wanted", slip(log_of_sum=lambda z: z.sum(1))),
    told(
        "own logit twice",
        "the logit of the label is subtracted twice",
        slip(own=lambda z, labels, logits: 2 * _own(z, labels)),
    ),
    told(
        "own logit added",
        "the logit of the label is added: it is subtracted",
        slip(own=lambda z, labels, logits: -_own(z, labels)),
    ),
    told(
        "label for its logit",
        "the label itself is subtracted: its logit is",
        slip(own=lambda z, labels, logits: labels),
    ),
    told(
        "every label in every row",
        "all rows take the logits of all labels, `z[:, labels]`: each row its own, `z[np.arange(N), labels]`",
        slip(own=lambda z, labels, logits: z[:, labels].mean(1)),
    ),
    _loss(
        "log after the mean",
        "the log is that of the mean softmax: the logs are averaged",
        lambda z, labels: -np.log(_own(softmax(z), labels).mean()),
    ),
    _loss(
        "probability without its log",
        "the loss is less the softmax of the label: less its log",
        lambda z, labels: -_own(softmax(z), labels).mean(),
    ),
    _loss(
        "1 less the probability",
        "the loss is 1 less the softmax of the label: less its log",
        lambda z, labels: 1 - _own(softmax(z), labels).mean(),
    ),
    _loss(
        "entropy",
        "the loss is the entropy of the softmax: the labels do not enter",
        lambda z, labels: -(softmax(z) * _log_softmax(z)).sum(1).mean(),
    ),
    _loss(
        "all classes",
        "the logs of all classes are averaged: that of the label counts alone",
        lambda z, labels: -_log_softmax(z).mean(),
    ),
    _loss(
        "all classes summed",
        "the logs of all classes are summed: that of the label counts alone",
        lambda z, labels: -_log_softmax(z).sum(1).mean(),
    ),
    _loss(
        "softmax twice",
        "softmax is taken twice: once",
        lambda z, labels: -_own(_log_softmax(softmax(z)), labels).mean(),
    ),
    _loss(
        "squared difference",
        "the loss is the mean square of softmax less one-hot",
        lambda z, labels: np.square(softmax(z) - one_hot(labels, z)).mean(),
    ),
    _loss(
        "squared difference summed",
        "the loss is the square of softmax less one-hot, summed over the classes",
        lambda z, labels: np.square(softmax(z) - one_hot(labels, z)).sum(1).mean(),
    ),
)
