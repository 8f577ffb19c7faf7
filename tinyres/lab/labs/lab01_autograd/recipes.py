"""Known mistakes of the pass back: for each a wrong function, run on the same nodes as the student's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinyres.lab.labs.lab01_autograd import adapter, reference, slips
from tinyres.lab.labs.lab01_autograd.recipes_nodes import SAME, run
from tinyres.lab.task import Case, Recipe, Results


def walk_back(case: Case) -> Results:
    """The right results; with parameters, those of a walk that is right but for these slips. So two slips compose."""
    if not case.params:
        return reference.walk_back(case)
    return run(adapter.walk_back, partial(slips.heaped, **case.params))(case)


def _slip(name: str, sentence: str, **slip: Any) -> Recipe:
    """The right walk, but for one thing."""
    return Recipe(name, SAME + sentence, before=lambda case: case.but(**slip))


def _walk(name: str, sentence: str, function: Callable[..., Any], **slip: Any) -> Recipe:
    """Another walk altogether."""
    return Recipe(name, SAME + sentence, instead=run(adapter.walk_back, partial(function, **slip)))


def _last_of_each_start(case: Case) -> Case:
    roots = [tuple(root) for root in case.arrays["roots"].tolist()]
    kept = [i for i, root in enumerate(roots) if root not in roots[i + 1 :]]
    return case.but({name: case.arrays[name][kept] for name in ("roots", "cotangents")})


WALK_BACK = (
    _walk(
        "path-by-path",
        "each gradient that arrives at a node is sent on at once, alone: every path is walked, 2^n of them through n "
        "shortcuts. Wait until all have come, and visit once",
        slips.from_input_to_input,
    ),
    _walk(
        "sums-sent-again",
        "a node that gets a second gradient sends its whole sum on once more, so that what came first counts twice: "
        "where two ways meet, wait for both",
        slips.from_input_to_input,
        sums_kept=True,
    ),
    _walk(
        "seen-too-early",
        "a node is visited when the first gradient arrives, and what arrives later is dropped because the node was "
        "seen: visit it when all have come",
        slips.from_input_to_input,
        once=True,
    ),
    _slip(
        "overwritten",
        "a second gradient for the same result replaces the first: they have to be added",
        add=lambda before, gradient: gradient,
    ),
    _slip(
        "first-kept",
        "a second gradient for the same result is dropped: they have to be added",
        add=lambda before, gradient: before,
    ),
    _slip(
        "oldest-first",
        "the node that was made first is visited first: go back in time, largest order first",
        first=lambda order, arrival: order,
    ),
    _slip(
        "last-found-first",
        "the node that was found last is visited first (a stack, depth first): a node may still be sent something "
        "then; go by the order in which nodes were made",
        first=lambda order, arrival: -arrival,
    ),
    _slip(
        "first-found-first",
        "the node that was found first is visited first (a queue, breadth first): a node may still be sent something "
        "then; go by the order in which nodes were made",
        first=lambda order, arrival: arrival,
    ),
    Recipe(
        "a-start-twice",
        SAME + "of two gradients that start at the same place only the last is kept: they have to be added",
        before=_last_of_each_start,
    ),
    Recipe(
        "ones-at-the-roots",
        SAME + "the pass starts with ones: it has to start with the gradient that comes with each root",
        before=lambda case: case.but({"cotangents": np.ones_like(case.arrays["cotangents"])}),
    ),
    Recipe(
        "one-root",
        SAME + "the pass starts from the first root only",
        before=lambda case: case.but({name: case.arrays[name][:1] for name in ("roots", "cotangents")}),
    ),
    _walk(
        "walk-for-each-root",
        "there is a pass of its own for each root: one pass serves all of them, and visits what they share once",
        slips.each_root_alone,
    ),
    _walk(
        "root-not-passed",
        "a root that stands behind another root gets its own gradient only, not what the other sends it too",
        slips.roots_last,
    ),
    _slip("first-input-only", "only the first input of a node is sent its gradient", sent=lambda pairs: pairs[:1]),
    _slip("last-input-only", "only the last input of a node is sent its gradient", sent=lambda pairs: pairs[-1:]),
    _slip(
        "results-exchanged",
        "the gradients of a node's results are taken for each other's: they are in backward order",
        result=lambda owner, index: getattr(owner, "results", 1) - 1 - index,
    ),
    _slip(
        "results-merged",
        "the gradients of all results of a node are added up in its first: each result has a sum of its own",
        result=lambda owner, index: 0,
    ),
    _slip(
        "same-input-once",
        "an operation that uses the same input twice sends it one gradient, not two: a dictionary by edge keeps only "
        "the last",
        sent=slips.one_of_a_kind,
    ),
    _slip(
        "added-in-place",
        "gradients are added with +=: that changes an array which was sent to another input too; a + b makes a new one",
        add=slips.in_place,
    ),
    _walk("leaves-left-out", "leaves are not visited: nobody then learns their gradients", slips.without_leaves),
)
