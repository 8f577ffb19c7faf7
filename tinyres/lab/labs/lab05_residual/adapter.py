"""How `flow.norms` is called: with a layer of the checks' own, so that it does not hang on how the student's came out.

The layer is tanh(h) w: its derivative depends on h everywhere, so a gradient taken at another layer's input shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def forward(h: Array, w: Array) -> Array:
    """tanh(h) w."""
    return np.tanh(h) @ w


def backward(dy: Array, h: Array, w: Array) -> Array:
    """The gradient of h."""
    return (dy @ w.T) / np.cosh(h) ** 2


def norms(modules: dict[str, Any], arrays: dict[str, Array], params: dict[str, Any], outs: dict[str, Array]) -> Any:
    """The student's walk over the layers of `weights` [L, C, C]."""
    walk = modules["flow.py"].gradient_norms
    found = walk(arrays["x"], list(arrays["weights"]), arrays["dy"], forward, backward, shortcut=params["shortcut"])
    return {"norms": np.asarray(found, dtype=arrays["x"].dtype)}


CALLS = {"flow.norms": norms}
