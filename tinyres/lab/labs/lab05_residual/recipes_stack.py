"""Known mistakes of the experiment, step by step: the layer, its gradient, the norms along a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import adapter, reference
from tinyres.lab.labs.lab05_residual.recipes import SAME
from tinyres.lab.task import Case, Recipe, Results

Array = Any


def cut(x: Array) -> Array:
    """Its ReLU."""
    return np.maximum(x, 0)


def _step(name: str, sentence: str, **steps: Any) -> Recipe:
    """Another step on the way back."""
    return Recipe(name, SAME + sentence, before=lambda case: case.but(**steps))


def _layer(name: str, sentence: str, formula: Callable[[Array, Array], Array]) -> Recipe:
    """Y from z, which goes into the ReLU, and w."""

    def instead(case: Case) -> Results:
        h = case.arrays["h"]
        z = reference.standard(h)[0] if case.params["normed"] else h
        return {"y": formula(z, case.arrays["w"])}

    return Recipe(name, SAME + sentence, instead=instead)


LAYER = (
    _layer("absolute", "what is negative is made positive: it has to become 0", lambda z, w: np.abs(z) @ w),
    _layer(
        "negative-part",
        "the negative part is kept: np.minimum in place of np.maximum",
        lambda z, w: np.minimum(z, 0) @ w,
    ),
    _layer("step", "the ReLU's derivative is taken, 1 or 0, not its value", lambda z, w: (z > 0) @ w),
    _layer(
        "shortcut-in-the-layer", "its input is added: the shortcut is none of the layer's", lambda z, w: cut(z) @ w + z
    ),
    _layer("relu-twice", "a second ReLU follows the product", lambda z, w: cut(cut(z) @ w)),
    _layer("elementwise", "only the diagonal of w counts", lambda z, w: cut(z) * np.diag(w)),
)
LAYER_GRADIENT = (
    _step("mask-inverted", "the ReLU's mask is the wrong way round", relu=lambda dz, z, h: dz * (z <= 0)),
    _step(
        "mask-alone", "the gradient is left out: its place is taken by the mask", relu=lambda dz, z, h: (z > 0) * 1.0
    ),
    _step(
        "mean-constant",
        "batch norm's mean is taken for a constant: it depends on h",
        norm=lambda dz, h: _norm(dz, h, mean=False),
    ),
    _step(
        "variance-constant",
        "batch norm's variance is taken for a constant: it depends on h",
        norm=lambda dz, h: _norm(dz, h, variance=False),
    ),
    _step(
        "scale-left-out",
        "the division by the standard deviation is left out",
        norm=lambda dz, h: _norm(dz, h, scale=False),
    ),
    _step(
        "divided-twice",
        "the gradient is divided by the variance, not by its root",
        norm=lambda dz, h: _norm(dz, h) * reference.standard(h)[1],
    ),
    _step(
        "batch-norm-at-z",
        "batch norm's gradient is taken at BN(h): it belongs to h",
        norm=lambda dz, h: _norm(dz, reference.standard(h)[0]),
    ),
)


def _norm(dz: Array, h: Array, mean: bool = True, variance: bool = True, scale: bool = True) -> Array:
    """Batch norm's gradient, without some of its parts."""
    z, inverse = reference.standard(h)
    whole = dz - mean * dz.mean(0) - variance * z * (dz * z).mean(0)
    return whole * inverse if scale else whole


def _walk(case: Case) -> tuple[list[Array], list[Array]]:
    """The right streams, first to last, and the gradients, last to first."""
    weights, shortcut, streams = case.arrays["weights"], case.params["shortcut"], [case.arrays["x"]]
    for w in weights:
        streams.append(adapter.forward(streams[-1], w) + shortcut * streams[-1])
    gradients = [case.arrays["dy"]]
    for h, w in zip(streams[-2::-1], weights[::-1], strict=True):
        gradients.append(adapter.backward(gradients[-1], h, w) + shortcut * gradients[-1])
    return streams, gradients


def _norms(name: str, sentence: str, length: Callable[[Array], Any]) -> Recipe:
    """Other lengths of the right gradients."""
    return Recipe(
        name, SAME + sentence, instead=lambda case: {"norms": np.array([length(g) for g in _walk(case)[1][::-1]])}
    )


NORMS = (
    _norms(
        "sum-of-magnitudes",
        "the magnitudes are added: the root of the sum of squares is wanted",
        lambda g: np.abs(g).sum(),
    ),
    _norms(
        "largest", "the largest magnitude is taken: the root of the sum of squares is wanted", lambda g: np.abs(g).max()
    ),
    _norms("mean-magnitude", "the mean magnitude is taken", lambda g: np.abs(g).mean()),
    _norms(
        "spectral", "the matrix norm of order 2 is taken, the largest singular value", lambda g: np.linalg.norm(g, 2)
    ),
    _norms("mean-of-the-rows", "the rows' norms are averaged", lambda g: np.linalg.norm(g, axis=1).mean()),
    _norms("sum-of-the-rows", "the rows' norms are added", lambda g: np.linalg.norm(g, axis=1).sum()),
    _norms("first-row", "the norm of the first row only is taken", lambda g: np.linalg.norm(g[0])),
    Recipe(
        "streams",
        SAME + "the norms are those of h_0 ... h_L: those of their gradients are wanted",
        instead=lambda case: {"norms": np.array([np.linalg.norm(h) for h in _walk(case)[0]])},
    ),
    Recipe(
        "divided-by-the-last",
        SAME + "the norms are divided by that of dy",
        after=lambda results, case: {"norms": results["norms"] / results["norms"][-1]},
    ),
    Recipe(
        "first-weights-for-all",
        SAME + "every layer has the weights of the first",
        before=lambda c: c.but({"weights": 0 * c.arrays["weights"] + c.arrays["weights"][:1]}),
    ),
    Recipe(
        "last-weights-for-all",
        SAME + "every layer has the weights of the last",
        before=lambda c: c.but({"weights": 0 * c.arrays["weights"] + c.arrays["weights"][-1:]}),
    ),
)
