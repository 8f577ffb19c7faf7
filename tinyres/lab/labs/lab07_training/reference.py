"""Loss, update and schedules in float64, in named steps that recipes exchange; without one, what the library computes.

Loss and update are also in `tinyres.kernels.naive`; the three formulas of the schedules are said twice on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.steps import step
from tinyres.lab.task import Array, Case, Results


def softmax(z: Array) -> Array:
    """Of each row."""
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def one_hot(labels: Array, like: Array) -> Array:
    """1 at the label of each row: [N] -> [N, K]."""
    return np.eye(like.shape[1])[labels]


def _clipped(low: float, value: float, high: float) -> float:
    return min(max(value, low), high)


STEPS: dict[str, Callable[..., Any]] = {
    "log of sum": lambda z: np.log(np.exp(z).sum(1)),
    "own": lambda z, labels, logits: z[np.arange(len(labels)), labels],
    "average": lambda losses, logits: losses.mean(),
    "probabilities": softmax,
    "target": one_hot,
    "divisor": lambda logits: len(logits),
    "incoming": lambda dloss: dloss,
    "decayed": lambda g, w, decay: g + decay * w,
    "velocity": lambda v, g, momentum: momentum * v + g,
    "look ahead": lambda g, new, old, momentum: g + momentum * new,
    "moved": lambda w, direction, lr: w - lr * direction,
    "nesterov": lambda nesterov: nesterov,
    "passed": lambda t, milestones: sum(m <= t for m in milestones),
    "divided": lambda base, divisor, passed: base / divisor**passed,
    "part": lambda t, start, total: (t - start) / (total - start),
    "clip": lambda part: _clipped(0.0, part, 1.0),
    "wave": lambda part: 0.5 * (1 + math.cos(math.pi * part)),
    "shrink": lambda w, moved, lr, decay: lr * decay * w,
    "norm": lambda g: math.sqrt(float(np.square(g).sum())),
    "factor": lambda norm, most: min(1.0, most / norm) if norm else 1.0,
    "spread": lambda hot, s, classes: (1 - s) * hot + s / classes,
    "ramp": lambda t, steps: (t + 1) / steps,
    "warm": lambda t, steps: t < steps,
}


def _step(case: Case, name: str) -> Callable[..., Any]:
    return step(STEPS, case, name)


def loss(case: Case) -> Results:
    """Softmax cross-entropy, the mean over the samples."""
    logits, labels = case.arrays["logits"], case.arrays["labels"]
    z = logits - logits.max(1, keepdims=True)
    losses = _step(case, "log of sum")(z) - _step(case, "own")(z, labels, logits)
    return {"loss": np.asarray(_step(case, "average")(losses, logits))}


def loss_gradient(case: Case) -> Results:
    """Of the loss by the logits, times what comes in."""
    logits, labels, dloss = (case.arrays[name] for name in ("logits", "labels", "dloss"))
    dlogits = _step(case, "probabilities")(logits) - _step(case, "target")(labels, logits)
    return {"dlogits": _step(case, "incoming")(dloss) * dlogits / _step(case, "divisor")(logits)}


def sgd(case: Case) -> Results:
    """Weights and velocity after a step."""
    w, v, g = (case.arrays[name] for name in "wvg")
    p = case.params
    g = _step(case, "decayed")(g, w, p["weight_decay"])
    new = _step(case, "velocity")(v, g, p["momentum"])
    ahead = _step(case, "nesterov")(p["nesterov"])
    direction = _step(case, "look ahead")(g, new, v, p["momentum"]) if ahead else new
    return {"new_w": _step(case, "moved")(w, direction, p["lr"]), "new_v": new}


def _rates(case: Case, rate: Callable[[int], float]) -> Results:
    return {"rate": np.array([rate(int(t)) for t in case.arrays["steps"]])}


def multi_step(case: Case) -> Results:
    """The base, divided once for each milestone that is reached."""
    p, passed, divided = case.params, _step(case, "passed"), _step(case, "divided")
    return _rates(case, lambda t: divided(p["base"], p["divisor"], passed(t, p["milestones"])))


def cosine(case: Case) -> Results:
    """Half a wave."""
    p, part, clip, wave = case.params, *(_step(case, name) for name in ("part", "clip", "wave"))
    return _rates(case, lambda t: p["base"] * wave(clip(part(t, p["start"], p["total"]))))


def warm_up(case: Case) -> Results:
    """A ramp at first."""
    p, ramp, warm = case.params, _step(case, "ramp"), _step(case, "warm")
    return _rates(case, lambda t: p["rate"] * (ramp(t, p["steps"]) if warm(t, p["steps"]) else 1.0))


def decoupled(case: Case) -> Results:
    """Stochastic gradient descent whose decay does not go through the velocity."""
    w, v, g = (case.arrays[name] for name in "wvg")
    p = case.params
    new = _step(case, "velocity")(v, g, p["momentum"])
    moved = _step(case, "moved")(w, new, p["lr"])
    return {"new_w": moved - _step(case, "shrink")(w, moved, p["lr"], p["weight_decay"]), "new_v": new}


def clipped(case: Case) -> Results:
    """A gradient that is no longer than `most`."""
    g = case.arrays["g"]
    return {"clipped": g * _step(case, "factor")(_step(case, "norm")(g), case.params["most"])}


def smoothed(case: Case) -> Results:
    """The gradient of the loss whose labels give a part of their weight to all classes."""
    logits, smoothing = case.arrays["logits"], case.params["smoothing"]
    target = _step(case, "spread")(one_hot(case.arrays["labels"], logits), smoothing, logits.shape[1])
    dlogits = _step(case, "incoming")(case.arrays["dloss"]) * (softmax(logits) - target)
    return {"dlogits": dlogits / _step(case, "divisor")(logits)}
