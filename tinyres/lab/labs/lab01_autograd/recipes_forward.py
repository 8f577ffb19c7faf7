"""Known mistakes of the variant of lab 1, the pass forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab01_autograd import adapter, reference, slips
from tinyres.lab.task import Case, Recipe, Results

SAME = "equals what you get if "


def _forward(name: str, sentence: str, before: Callable[[Case], Case]) -> Recipe:
    return Recipe(name, SAME + sentence, before=before)


def _first_results(case: Case) -> Case:
    edges = case.arrays["edges"].copy()
    edges[:, 2] = 0
    return case.but({"edges": edges})


def _leaf_ends_left_out(results: Results, case: Case) -> Results:
    tangents = results["tangents"].copy()
    tangents[case.arrays["results"][case.arrays["ends"][:, 0]] == 0] = 0
    return {**results, "tangents": tangents}


def _everything_pushed(case: Case) -> Results:
    """Nodes that no end depends on are pushed too."""
    right = reference.walk_forward(case)
    nodes = np.flatnonzero(case.arrays["results"])
    ends = np.concatenate([case.arrays["ends"], [[node, 0] for node in nodes]])
    return {"pushes": reference.walk_forward(case.but({"ends": ends}))["pushes"], "tangents": right["tangents"]}


def _nothing_left_out(case: Case) -> Results:
    """Nodes of which no input changes are pushed too."""
    right = reference.walk_forward(case)
    leaves = np.flatnonzero(case.arrays["results"] == 0)
    changes = np.zeros((len(leaves), case.arrays["changes"].shape[1]))
    return {
        "pushes": reference.walk_forward(case.but({"leaves": leaves, "changes": changes}))["pushes"],
        "tangents": right["tangents"],
    }


def _one_change(case: Case) -> Case:
    return case.but({"leaves": case.arrays["leaves"][:1], "changes": case.arrays["changes"][:1]})


def _one_told(place: slice) -> Callable[[list[Any]], list[Any]]:
    """Of the inputs that change, a node is told of one."""

    def arriving(tangents: list[Any]) -> list[Any]:
        chosen = [i for i, tangent in enumerate(tangents) if tangent is not None][place]
        return [tangent if i in chosen else None for i, tangent in enumerate(tangents)]

    return arriving


def _all_or_none(tangents: list[Any]) -> list[Any]:
    """Told of nothing, where one input does not change."""
    return tangents if all(tangent is not None for tangent in tangents) else []


def _wrong(name: str, sentence: str, **slip: Any) -> Recipe:
    return Recipe(
        name,
        SAME + sentence,
        instead=lambda case: adapter.forward(
            lambda *asked: slips.forward(*asked, **slip), {key: array.copy() for key, array in case.arrays.items()}
        ),
    )


FORWARD = (
    _wrong(
        "newest-first",
        "the nodes are gone through newest first: the changes of their inputs are not known then",
        step=-1,
    ),
    _wrong(
        "first-input-only",
        "a node is told of one change only, that of its first input that changes",
        arriving=_one_told(slice(1)),
    ),
    _wrong(
        "last-input-only",
        "a node is told of one change only, that of its last input that changes",
        arriving=_one_told(slice(-1, None)),
    ),
    _wrong(
        "all-must-change",
        "a node is pushed only if all its inputs change: one that does is enough",
        arriving=_all_or_none,
    ),
    _forward("first-result-only", "each input is taken to come from the first result of its node", _first_results),
    _forward("one-leaf", "only the first leaf changes", _one_change),
    _forward(
        "ones",
        "each leaf changes by 1: its change is given",
        lambda case: case.but({"changes": np.ones_like(case.arrays["changes"])}),
    ),
    _forward(
        "first-end-only",
        "only the nodes behind the first end are gone through",
        lambda case: case.but({"ends": np.concatenate([case.arrays["ends"][:1]] * len(case.arrays["ends"]))}),
    ),
    Recipe(
        "leaf-as-end",
        SAME + "an end that is a leaf does not change: its change is the one that was given",
        after=_leaf_ends_left_out,
    ),
    Recipe("everything-pushed", SAME + "nodes are pushed on which no end depends", instead=_everything_pushed),
    Recipe("unchanged-pushed", SAME + "nodes are pushed of which no input changes", instead=_nothing_left_out),
)
