"""How the tasks of lab 1 are checked."""

from __future__ import annotations

import math

from tinyres.lab.labs.lab01_autograd import (
    arrays,
    cases,
    recipes,
    recipes_arrays,
    recipes_formulas,
    recipes_forward,
    recipes_more,
    recipes_nodes,
    reference,
)
from tinyres.lab.task import Case, Checks


def copies(case: Case) -> float:
    """How many values `sum_to` adds up for one place."""
    return float(case.arrays["x"].size / max(1, math.prod(case.params["shape"])))


def steps(case: Case) -> float:
    """Roundings on the way through a graph: those of its branches; a chain has weights of 1 and -1, which are exact."""
    return float(min(1000, len(case.arrays["edges"])))


CHECKS = {
    "order.reachable": Checks(
        cases.starts,
        cases.starts_hidden,
        reference.reachable,
        recipes_nodes.REACHABLE + recipes_more.MORE_REACHABLE,
    ),
    "order.needed": Checks(
        cases.wants, cases.wants_hidden, reference.needed, recipes_nodes.NEEDED + recipes_more.MORE_NEEDED
    ),
    "order.walk_back": Checks(
        cases.passes,
        cases.passes_hidden,
        recipes.walk_back,
        recipes.WALK_BACK + recipes_more.MORE_WALKS,
        terms=steps,
    ),
    "derive.sum_to": Checks(
        arrays.sums,
        arrays.sums_hidden,
        reference.sum_to,
        recipes_arrays.SUM_TO + recipes_formulas.MORE_SUM_TO,
        terms=copies,
    ),
    "derive.product": Checks(
        arrays.pairs, arrays.pairs_hidden, reference.product, recipes_arrays.PRODUCT + recipes_formulas.MORE_PRODUCT
    ),
    "derive.quotient": Checks(
        arrays.pairs,
        arrays.pairs_hidden,
        reference.quotient,
        recipes_arrays.QUOTIENT + recipes_formulas.MORE_QUOTIENT,
    ),
    "derive.softmax": Checks(
        arrays.softmaxes,
        arrays.softmaxes_hidden,
        reference.softmax,
        recipes_arrays.SOFTMAX + recipes_formulas.MORE_SOFTMAX,
        terms=lambda case: float(case.arrays["y"].shape[case.params["axis"]]),
    ),
    "forward.walk": Checks(
        cases.moves, cases.moves_hidden, reference.walk_forward, recipes_forward.FORWARD, terms=steps
    ),
}
