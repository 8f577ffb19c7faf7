"""More known mistakes of the gradient of the loss: another target, another softmax, other factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.lab.labs.lab07_training.recipes_softmax import LABELS
from tinyres.lab.labs.lab07_training.reference import one_hot, softmax
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Recipe


def _target(name: str, sentence: str, target: Callable[[Array, Array], Array]) -> Recipe:
    return told(name, sentence, slip(target=target))


def _probabilities(name: str, sentence: str, probabilities: Callable[[Array], Array]) -> Recipe:
    return told(name, sentence, slip(probabilities=probabilities))


def _sigmoid(z: Array) -> Array:
    return np.exp(-np.logaddexp(0, -z))


def _at_the_label_only(case: Case) -> Case:
    hot = one_hot(case.arrays["labels"], case.arrays["logits"])
    return slip(target=lambda labels, like: hot, probabilities=lambda z: softmax(z) * hot)(case)


MORE_GRADIENT = (
    *LABELS,
    _target(
        "largest for the label",
        "1 is subtracted at the largest logit: at the label",
        lambda labels, z: np.eye(z.shape[1])[z.argmax(1)],
    ),
    _target("1 everywhere", "1 is subtracted in all classes: at the label alone", lambda labels, z: np.ones(z.shape)),
    _target("2 at the label", "1 is subtracted at the label twice", lambda labels, z: 2 * one_hot(labels, z)),
    _target(
        "label for 1",
        "the label itself is subtracted at the label: 1 is",
        lambda labels, z: one_hot(labels, z) * labels[:, None],
    ),
    _target(
        "1/K at the label", "1/K is subtracted at the label: 1 is", lambda labels, z: one_hot(labels, z) / z.shape[1]
    ),
    _target(
        "1/N at the label", "1 is divided by N twice at the label: once", lambda labels, z: one_hot(labels, z) / len(z)
    ),
    told(
        "1 after the incoming gradient",
        "1 is subtracted at the label after `dloss` has multiplied: `dloss` multiplies that as well",
        lambda case: slip(target=lambda labels, z: one_hot(labels, z) / case.arrays["dloss"])(case),
    ),
    told(
        "1 after everything",
        "1 is subtracted at the label at the very end: `dloss` and 1/N multiply that as well",
        lambda case: slip(target=lambda labels, z: one_hot(labels, z) * len(z) / case.arrays["dloss"])(case),
    ),
    told(
        "at the label only",
        "all entries but that of the label are 0: each logit moves the sum below the line",
        _at_the_label_only,
    ),
    _probabilities(
        "softmax forgotten", "softmax is left out: one-hot is subtracted from it", lambda z: np.zeros(z.shape)
    ),
    _probabilities("logits for softmax", "the logits stand where the softmax is wanted", lambda z: z),
    _probabilities("softmax twice", "softmax is taken twice", lambda z: softmax(softmax(z))),
    _probabilities("softmax squared", "the softmax is squared", lambda z: softmax(z) ** 2),
    _probabilities(
        "softmax divided by N twice", "the softmax is divided by N twice: once", lambda z: softmax(z) / len(z)
    ),
    _probabilities(
        "softmax not divided by N",
        "only the 1 at the label is divided by N: the softmax as well",
        lambda z: softmax(z) * len(z),
    ),
    _probabilities("sigmoid", "a sigmoid stands where the softmax is wanted", _sigmoid),
    _probabilities(
        "derivative of the softmax",
        "p*(1 - p) stands where the softmax p is wanted",
        lambda z: softmax(z) * (1 - softmax(z)),
    ),
    _probabilities(
        "softmax of the whole batch",
        "the exps are divided by their sum over the whole batch: over the classes of each sample",
        lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(),
    ),
    _probabilities("base 2", "2 to the power of the logits stands for exp", lambda z: softmax(z * np.log(2))),
    _probabilities("temperature", "the softmax is that of the logits with the other sign", lambda z: softmax(-z)),
    told("divided by N twice", "the gradient is divided by N twice: once", slip(divisor=lambda z: len(z) ** 2)),
    told("multiplied by N", "the gradient is multiplied by N: it is divided", slip(divisor=lambda z: 1 / len(z))),
    told("incoming gradient squared", "`dloss` multiplies twice", slip(incoming=lambda dloss: dloss**2)),
    told(
        "incoming gradient divides",
        "the gradient is divided by `dloss`: it is multiplied",
        slip(incoming=lambda dloss: 1 / dloss),
    ),
)


def _spread(name: str, sentence: str, spread: Callable[[Array, float, int], Array]) -> Recipe:
    return told(name, sentence, slip(spread=spread))


MORE_SMOOTHED = (
    *LABELS,
    told(
        "sign",
        "the gradient has the other sign: softmax less target",
        after=lambda results, case: {"dlogits": -results["dlogits"]},
    ),
    told(
        "divided by the classes",
        "the gradient is divided by K: the mean is over the N samples",
        slip(divisor=lambda z: z.shape[1]),
    ),
    told(
        "divided by N*K",
        "the gradient is divided by N*K: the mean is over the N samples",
        slip(divisor=lambda z: z.size),
    ),
    told("divided by N twice", "the gradient is divided by N twice: once", slip(divisor=lambda z: len(z) ** 2)),
    told("incoming gradient squared", "`dloss` multiplies twice", slip(incoming=lambda dloss: dloss**2)),
    _spread(
        "exchanged",
        "the label gets `smoothing` and the classes share 1 - smoothing: the other way round",
        lambda hot, s, k: s * hot + (1 - s) / k,
    ),
    _spread(
        "K - 1 for K",
        "each class, the label too, gets smoothing / (K - 1): smoothing / K",
        lambda hot, s, k: (1 - s) * hot + s / (k - 1),
    ),
    _spread(
        "label gives its part only",
        "the label gives smoothing / K away: it gives `smoothing`",
        lambda hot, s, k: (1 - s / k) * hot + (1 - hot) * s / k,
    ),
    _spread(
        "taken from all",
        "smoothing / K is subtracted on every class: it is added to the target",
        lambda hot, s, k: (1 - s) * hot - s / k,
    ),
    _spread(
        "smoothed more", "the label's target is 1 + smoothing: 1 - smoothing", lambda hot, s, k: (1 + s) * hot + s / k
    ),
    _spread(
        "target forgotten",
        "the target is left out: it is subtracted from the softmax",
        lambda hot, s, k: np.zeros(hot.shape),
    ),
    _spread(
        "target added",
        "the target is added: it is subtracted from the softmax",
        lambda hot, s, k: -(1 - s) * hot - s / k,
    ),
    _spread(
        "smoothing alone",
        "the target is smoothing / K everywhere: the label has 1 - smoothing more",
        lambda hot, s, k: 0 * hot + s / k,
    ),
)
