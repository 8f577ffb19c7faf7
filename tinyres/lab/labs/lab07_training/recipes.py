"""Known mistakes of the update and of the schedules."""

from __future__ import annotations

import math

import numpy as np

from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Case, Results


def _caffe(case: Case) -> Results:
    """The rate goes into the velocity."""
    w, v, g = (case.arrays[name] for name in "wvg")
    p = case.params
    new = p["momentum"] * v + p["lr"] * (g + p["weight_decay"] * w)
    return {"new_w": w - (p["momentum"] * new + p["lr"] * g if p["nesterov"] else new), "new_v": new}


def _old_velocity(case: Case) -> Case:
    """The step goes along the velocity as it was."""
    v = case.arrays["v"]
    return slip(moved=lambda w, direction, lr: w - lr * v)(case)


def _moved_first(results: Results, case: Case) -> Results:
    """In place, the velocity is made with the decay of weights that have moved already."""
    if not case.params["in_place"]:
        return results
    moved = case.params["weight_decay"] * (results["new_w"] - case.arrays["w"])
    return {**results, "new_v": results["new_v"] + moved}


def _decay_of_weights_alone(results: Results, case: Case) -> Results:
    """The decay moves the weights but is not kept in the velocity."""
    return {**results, "new_v": results["new_v"] - case.params["weight_decay"] * case.arrays["w"]}


def _decoupled(case: Case) -> Case:
    decay, lr = case.params["weight_decay"], case.params["lr"]
    return slip(
        decayed=lambda g, w, _: g,
        moved=lambda w, direction, lr: w - lr * direction - lr * decay * w,
    )(case.but(lr=lr))


_MOMENTUM_SIGN = told(
    "momentum subtracted",
    "momentum times the old velocity is subtracted from the gradient: it is added",
    slip(velocity=lambda v, g, momentum: g - momentum * v),
)
_DAMPENED = told(
    "dampened",
    "the gradient is multiplied by 1 - momentum: here it enters the velocity whole",
    slip(velocity=lambda v, g, momentum: momentum * v + (1 - momentum) * g),
)
_NO_MOMENTUM = told("momentum forgotten", "the old velocity is forgotten", slip(velocity=lambda v, g, momentum: g))
_WHOLE_VELOCITY = told(
    "velocity not decayed",
    "the whole old velocity is kept: momentum multiplies it",
    slip(velocity=lambda v, g, momentum: v + g),
)
_UPHILL = told(
    "uphill",
    "the step is added to the weights: it goes against the gradient",
    slip(moved=lambda w, direction, lr: w + lr * direction),
)
_NO_RATE = told(
    "rate forgotten", "the step is not multiplied by the rate", slip(moved=lambda w, direction, lr: w - direction)
)
_OLD_VELOCITY = told("old velocity", "the weights move along the velocity of the step before", _old_velocity)

UPDATE = (
    _MOMENTUM_SIGN,
    _DAMPENED,
    _NO_MOMENTUM,
    _WHOLE_VELOCITY,
    _UPHILL,
    told(
        "velocity of the other sign",
        "the velocity is momentum * v - g' and is added to the weights: here it is a sum of gradients",
        slip(
            velocity=lambda v, g, momentum: momentum * v - g,
            look_ahead=lambda g, new, old, momentum: momentum * new - g,
            moved=lambda w, direction, lr: w + lr * direction,
        ),
    ),
    _NO_RATE,
    _OLD_VELOCITY,
    told(
        "rate in the velocity",
        "the rate goes into the velocity (Caffe's form): here it multiplies the step",
        instead=_caffe,
    ),
    told("decay forgotten", "the weights do not decay", slip(decayed=lambda g, w, decay: g)),
    told("decay twice", "the decay is added twice", slip(decayed=lambda g, w, decay: g + 2 * decay * w)),
    told(
        "decay beside the velocity too",
        "the decay is in the velocity and moves the weights once more beside it",
        lambda case: slip(
            moved=lambda w, direction, lr: w - lr * direction - lr * case.params["weight_decay"] * case.arrays["w"]
        )(case),
    ),
    told(
        "decay turned",
        "the decay is subtracted: that lets weights grow",
        slip(decayed=lambda g, w, decay: g - decay * w),
    ),
    told(
        "decay after", "the decay moves the weights and stays out of the velocity: that is decoupled decay", _decoupled
    ),
    told(
        "decay not kept",
        "the decay moves the weights and is missing in the velocity that is kept",
        after=_decay_of_weights_alone,
    ),
    told(
        "decay of the velocity",
        "the decay falls on the velocity, which it multiplies by 1 - weight_decay: it belongs to the weights",
        lambda case: slip(
            decayed=lambda g, w, decay: g - decay * case.arrays["v"],
        )(case),
    ),
    told(
        "Nesterov forgotten",
        "the step is v' with `nesterov` too (which is also g' + momentum * v): it is g' + momentum * v'",
        slip(nesterov=lambda nesterov: False),
    ),
    told("Nesterov always", "`nesterov` is taken for true everywhere", slip(nesterov=lambda nesterov: True)),
    told(
        "Nesterov without the gradient",
        "Nesterov's step is momentum * v' alone: the gradient is added",
        slip(look_ahead=lambda g, new, old, momentum: momentum * new),
    ),
    told(
        "Nesterov without decay",
        "Nesterov's step is g + momentum * v', the decay being left out of its first part: g' has it",
        lambda case: slip(look_ahead=lambda g, new, old, momentum: case.arrays["g"] + momentum * new)(case),
    ),
    told(
        "Nesterov without momentum",
        "Nesterov's step is g' + v': momentum multiplies the velocity",
        slip(look_ahead=lambda g, new, old, momentum: g + new),
    ),
    told(
        "weights moved first",
        "in place, the velocity is made after the weights have moved: read everything before you write",
        after=_moved_first,
    ),
)

DECOUPLED = (
    _MOMENTUM_SIGN,
    _DAMPENED,
    _NO_MOMENTUM,
    _UPHILL,
    _OLD_VELOCITY,
    told(
        "decay in the velocity",
        "the decay goes through the velocity, as in `sgd`: here it moves the weights alone",
        lambda case: slip(
            velocity=lambda v, g, momentum: momentum * v + g + case.params["weight_decay"] * case.arrays["w"],
            shrink=lambda w, moved, lr, decay: 0.0,
        )(case),
    ),
    told(
        "decay twice",
        "the decay is in the velocity and in the weights",
        lambda case: slip(
            velocity=lambda v, g, momentum: momentum * v + g + case.params["weight_decay"] * case.arrays["w"],
        )(case),
    ),
    told(
        "rate not on the decay",
        "the weights shrink by weight_decay without the rate",
        slip(shrink=lambda w, moved, lr, decay: decay * w),
    ),
    told(
        "decay after the step",
        "the weights shrink after they have moved: they shrink by what they were before",
        slip(shrink=lambda w, moved, lr, decay: lr * decay * moved),
    ),
    told("decay forgotten", "the weights do not shrink", slip(shrink=lambda w, moved, lr, decay: 0.0)),
    told("decay turned", "the weights grow", slip(shrink=lambda w, moved, lr, decay: -lr * decay * w)),
)

CLIP = (
    told(
        "value by value",
        "each value is clipped by itself: that turns the gradient",
        instead=lambda case: {"clipped": np.clip(case.arrays["g"], -case.params["most"], case.params["most"])},
    ),
    told(
        "square for norm",
        "the sum of squares is taken for the norm: its root is the norm",
        slip(norm=lambda g: float(np.square(g).sum())),
    ),
    told(
        "sum of magnitudes",
        "the norm is the sum of the magnitudes: the Euclidean one is wanted",
        slip(norm=lambda g: float(np.abs(g).sum())),
    ),
    told(
        "root mean square",
        "the norm is the root of the mean square: the sum is wanted",
        slip(norm=lambda g: math.sqrt(float(np.square(g).mean()))),
    ),
    told(
        "always scaled",
        "a short gradient is made longer: only a long one changes",
        slip(factor=lambda norm, most: most / norm),
    ),
    told(
        "to length 1",
        "a long gradient gets the norm 1: `most` is wanted",
        slip(factor=lambda norm, most: 1 / norm if norm > most else 1.0),
    ),
    told("not clipped", "the gradient stays what it is", slip(factor=lambda norm, most: 1.0)),
    told(
        "turned over",
        "the factor is norm / most: it is most / norm",
        slip(factor=lambda norm, most: norm / most if norm > most else 1.0),
    ),
)
