"""How the tasks of the lab are checked."""

from __future__ import annotations

from tinyres.lab.labs.lab07_training import (
    cases,
    digits,
    recipes,
    recipes_loss,
    recipes_loss_gradient,
    recipes_rates,
    recipes_rates_more,
    recipes_softmax,
    recipes_target,
    recipes_update,
    reference,
)
from tinyres.lab.task import Case, Checks

CLIPPED = (
    (3, 2.5, "contiguous", "float32"),
    (5, 0.4, "contiguous", "float32"),
    (40, 7.0, "strided", "float32"),
    (12, 3.0, "contiguous", "float64"),
)
CLIPPED_HIDDEN = (
    (8, 1.8, "contiguous", "float32"),
    (6, 0.9, "strided", "float32"),
    (70, 12.0, "contiguous", "float64"),
)


def _logits(case: Case) -> float:
    return float(case.arrays["logits"].size)


def _values(case: Case) -> float:
    return float(case.arrays["g"].size)


CHECKS = {
    "loss.value": Checks(
        cases.logits(cases.LOGITS),
        cases.logits(cases.LOGITS_HIDDEN),
        reference.loss,
        recipes_loss.VALUE + recipes_softmax.MORE_VALUE,
        _logits,
    ),
    "loss.gradient": Checks(
        cases.logits(cases.LOGITS, incoming=True),
        cases.logits(cases.LOGITS_HIDDEN, incoming=True),
        reference.loss_gradient,
        recipes_loss_gradient.GRADIENT + recipes_target.MORE_GRADIENT,
        _logits,
    ),
    "sgd.update": Checks(
        cases.updates(cases.UPDATES),
        cases.updates(cases.UPDATES_HIDDEN),
        reference.sgd,
        recipes.UPDATE + recipes_update.MORE,
    ),
    "rate.multi_step": Checks(
        cases.schedules(cases.MULTI_STEP),
        cases.schedules(cases.MULTI_STEP_HIDDEN),
        reference.multi_step,
        recipes_rates.MULTI_STEP + recipes_rates_more.MORE_MULTI_STEP,
    ),
    "rate.cosine": Checks(
        cases.schedules(cases.COSINE),
        cases.schedules(cases.COSINE_HIDDEN),
        reference.cosine,
        recipes_rates.COSINE + recipes_rates_more.MORE_COSINE,
    ),
    "rate.warm_up": Checks(
        cases.schedules(cases.WARM_UP, base="rate"),
        cases.schedules(cases.WARM_UP_HIDDEN, base="rate"),
        reference.warm_up,
        recipes_rates.WARM_UP + recipes_rates_more.MORE_WARM_UP,
    ),
    "train.digits": Checks(
        digits.cases(digits.PUBLIC),
        digits.cases(digits.HIDDEN),
        digits.blank,
        judge=digits.judge,
    ),
    "sgd.decoupled": Checks(
        cases.decoupled(cases.UPDATES),
        cases.decoupled(cases.UPDATES_HIDDEN),
        reference.decoupled,
        recipes.DECOUPLED + recipes_update.MORE_DECOUPLED,
    ),
    "sgd.clip": Checks(
        cases.gradients(CLIPPED),
        cases.gradients(CLIPPED_HIDDEN),
        reference.clipped,
        recipes.CLIP + recipes_update.MORE_CLIP,
        _values,
    ),
    "loss.smoothed": Checks(
        cases.logits(cases.LOGITS, incoming=True, smoothing=True),
        cases.logits(cases.LOGITS_HIDDEN, incoming=True, smoothing=True),
        reference.smoothed,
        recipes_loss_gradient.SMOOTHED + recipes_target.MORE_SMOOTHED,
        _logits,
    ),
}
