"""How the tasks of the lab are checked."""

from __future__ import annotations

from tinyres.lab.labs.lab04_batch_norm import (
    cases,
    recipes,
    recipes_backward,
    recipes_counts,
    recipes_paths,
    recipes_places,
    recipes_running,
    recipes_variants,
    reference,
)
from tinyres.lab.task import Case, Checks, Speed


def _values(case: Case) -> float:
    """How many values a channel has."""
    x = case.arrays["x"]
    return float(x.size // x.shape[-1])


def _everything(case: Case) -> float:
    """Of a sample: the longest sum if nothing is known of where the channels are."""
    return float(case.arrays["x"].size)


LARGE = cases.Setting((4, 9, 8, 32), 0.01)  # what is timed
PARAMETERS, INPUT = "dy x mean variance", "dy x gamma mean variance dgamma dbeta"
CHECKS = {
    "bn.statistics": Checks(
        cases.statistics((*cases.PUBLIC, cases.FAR)),
        cases.statistics(cases.HIDDEN),
        reference.statistics,
        recipes.STATISTICS + recipes_counts.COUNTS + recipes_counts.NEGATIVE,
        _values,
    ),
    "bn.eval": Checks(
        cases.evaluation(cases.PUBLIC),
        cases.evaluation(cases.HIDDEN),
        reference.batch_norm_eval,
        recipes.NORMALISING + recipes.EVALUATION + recipes_places.PLACES + recipes_places.EVALUATED,
    ),
    "bn.forward": Checks(
        cases.training((*cases.PUBLIC, cases.FAR)),
        cases.training(cases.HIDDEN),
        reference.batch_norm,
        (
            *(recipes.STATISTICS + recipes.NORMALISING + recipes.TRAINING),
            *(recipes_counts.COUNTS + recipes_places.PLACES + recipes_places.TRAINED),
        ),
        _values,
        Speed(2, (5, 15), lambda rng: next(cases.training([LARGE])(rng))),
    ),
    "bn.running": Checks(
        cases.running(cases.RUNNING),
        cases.running(cases.RUNNING_HIDDEN),
        reference.running_averages,
        recipes_running.RUNNING,
    ),
    "bn.parameters": Checks(
        cases.gradients(cases.PUBLIC, PARAMETERS),
        cases.gradients(cases.HIDDEN, PARAMETERS),
        reference.parameter_gradients,
        recipes_backward.PARAMETERS + recipes_paths.SUMS,
        _values,
    ),
    "bn.input": Checks(
        cases.gradients(cases.PUBLIC, INPUT),
        cases.gradients(cases.HIDDEN, INPUT),
        reference.input_gradient,
        recipes_backward.INPUT + recipes_paths.TERMS,
        _values,
        Speed(2, (5, 15), lambda rng: next(cases.gradients([LARGE], INPUT)(rng))),
    ),
    "bn.group": Checks(
        cases.training(cases.GROUPED),
        cases.training(cases.GROUPED_HIDDEN),
        reference.group_norm,
        recipes_variants.GROUP,
        _everything,
    ),
    "bn.channels_first": Checks(
        cases.channels_first(cases.PUBLIC),
        cases.channels_first(cases.HIDDEN),
        reference.channels_first_gradient,
        recipes_variants.CHANNELS_FIRST,
        _everything,
    ),
}
