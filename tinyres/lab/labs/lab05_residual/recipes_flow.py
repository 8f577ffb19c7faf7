"""Known mistakes with the experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import adapter, reference
from tinyres.lab.labs.lab05_residual.recipes import SAME
from tinyres.lab.task import Case, Recipe, Results

Array = Any


def _cut(x: Array) -> Array:
    return np.maximum(x, 0)


def _layer(name: str, sentence: str, formula: Callable[[Array, Array, bool], Array]) -> Recipe:
    return Recipe(
        name,
        SAME + sentence,
        instead=lambda case: {"y": formula(case.arrays["h"], case.arrays["w"], case.params["normed"])},
    )


def _z(h: Array, normed: bool) -> Array:
    return reference.standard(h)[0] if normed else h


LAYER = (
    _layer(
        "relu-last", "the ReLU comes after the product: it comes before", lambda h, w, normed: _cut(_z(h, normed) @ w)
    ),
    _layer("no-relu", "there is no ReLU", lambda h, w, normed: _z(h, normed) @ w),
    _layer(
        "relu-before-batch-norm",
        "the ReLU comes before batch norm: batch norm comes first",
        lambda h, w, normed: _z(_cut(h), normed) @ w,
    ),
    _layer(
        "batch-norm-last",
        "batch norm comes after the product: it comes first",
        lambda h, w, normed: _z(_cut(h) @ w, normed),
    ),
    _layer("batch-norm-left-out", "batch norm is left out", lambda h, w, normed: _cut(h) @ w),
    _layer(
        "batch-norm-always", "batch norm is there although normed is False", lambda h, w, normed: _cut(_z(h, True)) @ w
    ),
    _layer("weight-turned", "w is transposed: h w wants it as it is", lambda h, w, normed: _cut(_z(h, normed)) @ w.T),
)


def _step(name: str, sentence: str, **steps: Any) -> Recipe:
    """One of the LAYER_STEPS of the reference done wrong."""
    return Recipe(name, SAME + sentence, before=lambda case: case.but(**steps))


def _mask_first(case: Case) -> Results:
    """The mask on dy, before the product."""
    masked = case.arrays["dy"] * (_z(case.arrays["h"], case.params["normed"]) > 0)
    return reference.layer_gradient(case.but({"dy": masked}, relu=lambda dz, z, h: dz))


LAYER_GRADIENT = (
    _step("no-mask", "the ReLU has no mask", relu=lambda dz, z, h: dz),
    _step(
        "mask-from-h",
        "the mask is made from h: with batch norm it is BN(h) that goes into the ReLU",
        relu=lambda dz, z, h: dz * (h > 0),
    ),
    _step(
        "mask-from-the-gradient",
        "the mask is made from the gradient: what went into the ReLU decides",
        relu=lambda dz, z, h: _cut(dz),
    ),
    _step(
        "times-z",
        "the gradient is multiplied by the ReLU's result: its derivative is 1 or 0",
        relu=lambda dz, z, h: dz * _cut(z),
    ),
    Recipe(
        "mask-at-the-wrong-end",
        SAME + "the mask is applied to dy, before the product: the ReLU stands before w",
        instead=_mask_first,
    ),
    _step("weight-not-turned", "dy is multiplied by w: on the way back by its transpose", product=lambda dy, w: dy @ w),
    _step("batch-norm-left-out", "the gradient does not go back through batch norm", norm=lambda dz, h: dz),
    _step(
        "statistics-constant",
        "batch norm's mean and variance are taken for constants: they depend on h",
        norm=lambda dz, h: dz * reference.standard(h)[1],
    ),
)


def _walk(
    case: Case,
    step: Callable[[Array, Array, bool], Array] = lambda gradient, through, shortcut: through + shortcut * gradient,
    at: Callable[[list[Array]], list[Array]] = lambda streams: streams[:-1],
    order: int = -1,
    stream: bool = True,
    norm: Callable[[Array], Any] = np.linalg.norm,
) -> Results:
    """The right walk, but for one thing."""
    weights, shortcut, streams = case.arrays["weights"], case.params["shortcut"], [case.arrays["x"]]
    for w in weights:
        streams.append(adapter.forward(streams[-1], w) + (shortcut and stream) * streams[-1])
    gradients = [case.arrays["dy"]]
    for h, w in zip(at(streams)[::-1], weights[::order], strict=True):
        gradients.append(step(gradients[-1], adapter.backward(gradients[-1], h, w), shortcut))
    return {"norms": np.array([norm(gradient) for gradient in gradients[::-1]])}


def _norms(name: str, sentence: str, **slip: Any) -> Recipe:
    return Recipe(name, SAME + sentence, instead=lambda case: _walk(case, **slip))


NORMS = (
    Recipe(
        "shortcut-left-out",
        SAME + "the stack is plain although shortcut is True",
        before=lambda case: case.but(shortcut=False),
    ),
    Recipe(
        "shortcut-always",
        SAME + "the stack is residual although shortcut is False",
        before=lambda case: case.but(shortcut=True),
    ),
    _norms(
        "shortcut-forward-only",
        "the shortcut is there on the way forward, not on the way back: its gradient has to be added",
        step=lambda gradient, through, shortcut: through,
    ),
    _norms(
        "shortcut-back-only",
        "the shortcut is there on the way back, not on the way forward: the layers see other inputs then",
        stream=False,
    ),
    _norms(
        "branch-left-out",
        "on the way back only the shortcut's part is kept: the branch's has to be added",
        step=lambda gradient, through, shortcut: gradient if shortcut else through,
    ),
    _norms(
        "halved",
        "the mean of the two parts is taken: they are added",
        step=lambda gradient, through, shortcut: (through + gradient) / 2 if shortcut else through,
    ),
    _norms(
        "outputs-for-inputs",
        "a layer's gradient is taken at its output: it belongs to its input",
        at=lambda streams: streams[1:],
    ),
    _norms(
        "first-input",
        "all gradients are taken at the stack's input x: each layer has an input of its own",
        at=lambda streams: streams[:1] * (len(streams) - 1),
    ),
    _norms(
        "weights-not-reversed", "the weights are gone through from the first to the last on the way back, too", order=1
    ),
    Recipe(
        "reversed",
        SAME + "the norms begin with that at the output: h_0 comes first",
        after=lambda results, case: {"norms": results["norms"][::-1]},
    ),
    Recipe(
        "input-missing",
        SAME + "the norm at h_0 is missing: L layers have L + 1 places",
        after=lambda results, case: {"norms": results["norms"][1:]},
    ),
    Recipe(
        "output-missing",
        SAME + "the norm at h_L, that of dy itself, is missing: L layers have L + 1 places",
        after=lambda results, case: {"norms": results["norms"][:-1]},
    ),
    _norms("squared", "the root is left out", norm=lambda gradient: (gradient**2).sum()),
    _norms(
        "root-mean-square",
        "the mean of the squares is taken: their sum is wanted",
        norm=lambda gradient: np.sqrt((gradient**2).mean()),
    ),
    Recipe(
        "ones",
        SAME + "the walk starts with ones, not with dy",
        before=lambda case: case.but({"dy": np.ones_like(case.arrays["dy"])}),
    ),
)
