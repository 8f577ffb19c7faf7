"""More known mistakes of the update: momentum, decay, rate and Nesterov's step in the wrong place or power."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Case, Recipe, Results


def _velocity(name: str, sentence: str, velocity: Callable[..., Any]) -> Recipe:
    return told(name, sentence, slip(velocity=velocity))


def _moved(name: str, sentence: str, moved: Callable[..., Any]) -> Recipe:
    return told(name, sentence, slip(moved=moved))


def _decayed(name: str, sentence: str, decayed: Callable[..., Any]) -> Recipe:
    return told(name, sentence, slip(decayed=decayed))


def _ahead(name: str, sentence: str, look_ahead: Callable[..., Any]) -> Recipe:
    return told(name, f"Nesterov's step is {sentence}", slip(look_ahead=look_ahead))


def _gradient_alone(case: Case) -> Case:
    """The weights move against g', whatever the velocity."""
    decay = case.params["weight_decay"]
    direction = case.arrays["g"] + decay * case.arrays["w"]
    return slip(moved=lambda w, _, lr: w - lr * direction)(case)


def _look_ahead_kept(results: Results, case: Case) -> Results:
    if not case.params["nesterov"]:
        return results
    a, p = case.arrays, case.params
    return {**results, "new_v": a["g"] + p["weight_decay"] * a["w"] + p["momentum"] * results["new_v"]}


def _read_after_written(results: Results, case: Case) -> Results:
    """In place, the step is momentum * v + g' of a velocity that is the new one already."""
    a, p = case.arrays, case.params
    if not p["in_place"] or p["nesterov"]:
        return results
    direction = p["momentum"] * results["new_v"] + a["g"] + p["weight_decay"] * a["w"]
    return {**results, "new_w": a["w"] - p["lr"] * direction}


def _without_rate(case: Case) -> Case:
    decay = case.params["weight_decay"]
    return slip(decayed=lambda g, w, _: g, moved=lambda w, step, lr: (1 - decay) * w - lr * step)(case)


def _after_the_step(case: Case) -> Case:
    shrink = 1 - case.params["lr"] * case.params["weight_decay"]
    return slip(decayed=lambda g, w, _: g, moved=lambda w, step, lr: shrink * (w - lr * step))(case)


def _rate_on_the_decay(case: Case) -> Case:
    lr = case.params["lr"]
    return slip(decayed=lambda g, w, decay: g + lr * decay * w)(case)


BOTH = (
    _velocity("momentum on both", "momentum multiplies the gradient too", lambda v, g, m: m * (v + g)),
    _velocity(
        "momentum on the gradient", "momentum multiplies the gradient and not the velocity", lambda v, g, m: v + m * g
    ),
    _velocity(
        "momentum exchanged", "1 - momentum multiplies the velocity: momentum does", lambda v, g, m: (1 - m) * v + g
    ),
    _velocity(
        "an average the other way round",
        "1 - momentum multiplies the velocity and momentum the gradient",
        lambda v, g, m: (1 - m) * v + m * g,
    ),
    _velocity("momentum squared", "momentum is squared", lambda v, g, m: m**2 * v + g),
    _velocity("momentum is 0.9", "momentum is taken for 0.9: it is a parameter", lambda v, g, m: 0.9 * v + g),
    _velocity("gradient forgotten", "the gradient does not enter the velocity", lambda v, g, m: m * v),
    _moved("rate squared", "the step is multiplied by the rate twice", lambda w, step, lr: w - lr**2 * step),
    _moved(
        "rate divides", "the step is divided by the rate: it is multiplied by it", lambda w, step, lr: w - step / lr
    ),
    _moved(
        "weights forgotten",
        "the new weights are the step alone: it is subtracted from the old",
        lambda w, step, lr: -lr * step,
    ),
    _moved("not moved", "the weights stay what they were", lambda w, step, lr: w),
    told(
        "velocity not kept",
        "the velocity that is kept is the old one: the new one goes into `out` too",
        after=lambda results, case: {**results, "new_v": case.arrays["v"]},
    ),
    told(
        "gradient kept",
        "the gradient is kept where the velocity is wanted",
        after=lambda results, case: {**results, "new_v": case.arrays["g"]},
    ),
    told(
        "exchanged",
        "weights and velocity change places: the weights come first",
        after=lambda results, case: {"new_w": results["new_v"], "new_v": results["new_w"]},
    ),
    told(
        "weights for velocity",
        "momentum multiplies the weights where the velocity is meant",
        lambda case: slip(velocity=lambda v, g, m: m * case.arrays["w"] + g)(case),
    ),
)

MORE = (
    *BOTH,
    told("gradient for velocity", "the weights move against the gradient alone: along the velocity", _gradient_alone),
    _decayed("decay of the square", "the decay is that of w squared: of w", lambda g, w, decay: g + decay * w**2),
    _decayed(
        "decay of the sign", "the decay is that of the sign of w: of w", lambda g, w, decay: g + decay * np.sign(w)
    ),
    _decayed("decay of the magnitude", "the decay is that of |w|: of w", lambda g, w, decay: g + decay * np.abs(w)),
    _decayed("decay halved", "the decay has half its size", lambda g, w, decay: g + decay * w / 2),
    _decayed(
        "decay of the gradient", "the decay multiplies the gradient: the weights", lambda g, w, decay: (1 + decay) * g
    ),
    _decayed("decay without weights", "the decay is added as it is: it multiplies w", lambda g, w, decay: g + decay),
    _decayed(
        "weights added", "the weights are added without the decay that multiplies them", lambda g, w, decay: g + w
    ),
    _decayed("decay squared", "the decay is squared", lambda g, w, decay: g + decay**2 * w),
    told(
        "decay times the rate twice", "the decay is multiplied by the rate before the step is, too", _rate_on_the_decay
    ),
    told(
        "decay without rate",
        "the weights shrink by weight_decay, without the rate and beside the velocity: g' = g + weight_decay*w",
        _without_rate,
    ),
    told(
        "decay after the step",
        "the weights shrink after they have moved: the decay is in g', before the velocity",
        _after_the_step,
    ),
    _ahead("Nesterov on top", "v' + momentum * v': g' + momentum * v'", lambda g, new, old, m: (1 + m) * new),
    _ahead("Nesterov twice", "g' + momentum^2 * v: g' + momentum * v'", lambda g, new, old, m: g + m * m * old),
    _ahead("Nesterov turned", "g' - momentum * v': the velocity is added", lambda g, new, old, m: g - m * new),
    _ahead(
        "Nesterov's momentum squared",
        "g' + momentum^2 * v': g' + momentum * v'",
        lambda g, new, old, m: g + m * m * new,
    ),
    _ahead(
        "Nesterov's gradient in momentum",
        "momentum * (g' + v'): momentum multiplies v' alone",
        lambda g, new, old, m: m * (g + new),
    ),
    _ahead("Nesterov of v", "g' + v: g' + momentum * v'", lambda g, new, old, m: g + old),
    _ahead("Nesterov without velocity", "g' alone: g' + momentum * v'", lambda g, new, old, m: g),
    told(
        "look-ahead kept",
        "Nesterov's step is kept as the velocity: v' is kept",
        after=_look_ahead_kept,
    ),
    told(
        "velocity read after it was written",
        "in place, momentum * v + g' is computed once more for the step, when v is the new velocity already",
        after=_read_after_written,
    ),
)


def _shrunk(name: str, sentence: str, shrink: Callable[..., Any]) -> Recipe:
    return told(name, sentence, slip(shrink=shrink))


MORE_DECOUPLED = (
    *BOTH,
    _moved("rate forgotten", "the step is not multiplied by the rate", lambda w, step, lr: w - step),
    _shrunk(
        "rate squared on the decay", "the decay is multiplied by the rate twice", lambda w, new, lr, d: lr**2 * d * w
    ),
    _shrunk("decay alone", "the decay is subtracted as it is: it multiplies w", lambda w, new, lr, d: lr * d),
    _shrunk("rate alone", "the weights shrink by the rate, without weight_decay", lambda w, new, lr, d: lr * w),
    _shrunk("decay of the sign", "the decay is that of the sign of w: of w", lambda w, new, lr, d: lr * d * np.sign(w)),
    _shrunk("decay of the square", "the decay is that of w squared: of w", lambda w, new, lr, d: lr * d * w**2),
    _shrunk("decay twice in the weights", "the weights shrink twice", lambda w, new, lr, d: 2 * lr * d * w),
    told(
        "decay of the velocity",
        "the decay is that of the velocity: of the weights",
        lambda case: slip(shrink=lambda w, new, lr, d: lr * d * case.arrays["v"])(case),
    ),
    told(
        "rate in the velocity",
        "the rate goes into the velocity: it multiplies the step",
        lambda case: slip(velocity=lambda v, g, m: m * v + case.params["lr"] * g, moved=lambda w, step, lr: w - step)(
            case
        ),
    ),
    told(
        "gradient for velocity",
        "the weights move against the gradient alone: along the velocity",
        lambda case: slip(moved=lambda w, step, lr: w - lr * case.arrays["g"])(case),
    ),
)


def _clipped(name: str, sentence: str, factor: Callable[[float, float], float]) -> Recipe:
    return told(name, sentence, slip(factor=factor))


MORE_CLIP = (
    told(
        "largest magnitude",
        "the norm is the largest magnitude: the Euclidean one is wanted",
        slip(norm=lambda g: float(np.abs(g).max())),
    ),
    told(
        "a little below the line",
        "1e-6 is added to the norm: a norm above `most` is not 0",
        slip(norm=lambda g: float(np.sqrt(np.square(g).sum())) + 1e-6),
    ),
    _clipped("factor squared", "the factor is squared", lambda norm, most: min(1.0, most / norm) ** 2),
    _clipped("root of the factor", "the root of the factor is taken", lambda norm, most: min(1.0, most / norm) ** 0.5),
    _clipped(
        "always length 1",
        "each gradient gets the norm 1: only a long one changes, to `most`",
        lambda norm, most: 1 / norm,
    ),
    _clipped("long becomes 0", "a long gradient becomes 0: it is made shorter", lambda norm, most: float(norm <= most)),
    _clipped(
        "short becomes 0",
        "a short gradient becomes 0: it stays",
        lambda norm, most: most / norm if norm > most else 0.0,
    ),
    _clipped(
        "most multiplies",
        "a long gradient is multiplied by `most`: by most / norm",
        lambda norm, most: most if norm > most else 1.0,
    ),
    _clipped(
        "the wrong ones",
        "a short gradient is made longer and a long one stays",
        lambda norm, most: max(1.0, most / norm),
    ),
    _clipped("turned", "a long gradient is turned round", lambda norm, most: -most / norm if norm > most else 1.0),
)
