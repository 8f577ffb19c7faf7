"""Known mistakes with graphs: for each a wrong function, run on the same nodes as the student's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab01_autograd import adapter, slips
from tinyres.lab.task import Case, Recipe, Results

SAME = "equals what you get if "


def _run(call: Callable[..., Results], function: Callable[..., Any]) -> Callable[[Case], Results]:
    return lambda case: call(function, {name: array.copy() for name, array in case.arrays.items()})


def _walk(name: str, sentence: str, function: Callable[..., Any] = slips.heaped, **slip: Any) -> Recipe:
    return Recipe(
        name, SAME + sentence, instead=_run(adapter.walk_back, lambda starts, visit: function(starts, visit, **slip))
    )


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
    _walk(
        "overwritten",
        "a second gradient for the same result replaces the first: they have to be added",
        add=lambda before, gradient: gradient,
    ),
    _walk(
        "first-kept",
        "a second gradient for the same result is dropped: they have to be added",
        add=lambda before, gradient: before,
    ),
    _walk(
        "oldest-first",
        "the node that was made first is visited first: go back in time, largest order first",
        first=lambda order, arrival: order,
    ),
    _walk(
        "last-found-first",
        "the node that was found last is visited first (a stack, depth first): a node may still be sent something "
        "then; go by the order in which nodes were made",
        first=lambda order, arrival: -arrival,
    ),
    _walk(
        "first-found-first",
        "the node that was found first is visited first (a queue, breadth first): a node may still be sent something "
        "then; go by the order in which nodes were made",
        first=lambda order, arrival: arrival,
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
    _walk("first-input-only", "only the first input of a node is sent its gradient", sent=lambda pairs: pairs[:1]),
    _walk("last-input-only", "only the last input of a node is sent its gradient", sent=lambda pairs: pairs[-1:]),
    _walk(
        "results-exchanged",
        "the gradients of a node's results are taken for each other's: they are in backward order",
        result=lambda owner, index: getattr(owner, "results", 1) - 1 - index,
    ),
    _walk(
        "results-merged",
        "the gradients of all results of a node are added up in its first: each result has a sum of its own",
        result=lambda owner, index: 0,
    ),
    _walk(
        "same-input-once",
        "an operation that uses the same input twice sends it one gradient, not two: a dictionary by edge keeps only "
        "the last",
        sent=slips.one_of_a_kind,
    ),
    _walk(
        "added-in-place",
        "gradients are added with +=: that changes an array which was sent to another input too; a + b makes a new one",
        add=slips.in_place,
    ),
    _walk("leaves-left-out", "leaves are not visited: nobody then learns their gradients", slips.without_leaves),
)


def _found(name: str, sentence: str, function: Callable[..., Any]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=_run(adapter.reachable, function))


def _search(starts: list[Any], behind: Callable[[Any], list[Any]], take: int = -1) -> list[Any]:
    """In the order in which nodes are found, from a stack or a queue."""
    found: dict[int, Any] = {}
    rest = list(starts)
    while rest:
        node = rest.pop(take)
        if node.order not in found:
            found[node.order] = node
            rest += behind(node)
    return list(found.values())


def _recursion(starts: list[Any], behind: Callable[[Any], list[Any]], first: bool) -> list[Any]:
    """In the order in which a recursion would come to the nodes (`first`), or be done with them."""
    seen: set[int] = set()
    found: list[Any] = []
    rest: list[tuple[Any, bool]] = [(start, False) for start in reversed(starts)]
    while rest:
        node, done = rest.pop()
        if done or node.order in seen:
            found += [node] * (done and not first)
            continue
        seen.add(node.order)
        found += [node] * first
        rest += [(node, True), *((each, False) for each in reversed(behind(node)))]
    return found


def _sorted(nodes: list[Any]) -> list[Any]:
    return sorted(nodes, key=lambda node: node.order)


def _each_path(starts: list[Any], behind: Callable[[Any], list[Any]]) -> list[Any]:
    """A node once for each node that uses it."""
    nodes = _search(starts, behind)
    memo = {node.order: behind(node) for node in nodes}
    return _sorted([*starts, *(each for made in memo.values() for each in made)])


def _first_inputs(behind: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    return lambda node: behind(node)[:1]


def _without(nodes: list[Any], left_out: list[Any]) -> list[Any]:
    orders = {node.order for node in left_out}
    return [node for node in nodes if node.order not in orders]


REACHABLE = (
    _found(
        "newest-first",
        "the list begins with the newest node: oldest first is wanted",
        lambda s, b: _sorted(_search(s, b))[::-1],
    ),
    _found(
        "as-found",
        "the list is in the order in which a stack finds the nodes: sort it by order",
        lambda s, b: _search(s, b),
    ),
    _found(
        "as-found-reversed",
        "the list is in the order of discovery, turned round: that is oldest first for a chain, not where ways meet",
        lambda s, b: _search(s, b)[::-1],
    ),
    _found(
        "as-found-by-level",
        "the list is in the order in which a queue finds the nodes, level by level: sort it by order",
        lambda s, b: _search(s, b, 0),
    ),
    _found(
        "as-found-by-level-reversed",
        "the list is in the order of discovery, level by level, turned round: sort it by order",
        lambda s, b: _search(s, b, 0)[::-1],
    ),
    _found(
        "as-entered",
        "the list is in the order in which a recursion comes to the nodes: sort it by order",
        lambda s, b: _recursion(s, b, first=True),
    ),
    _found(
        "as-left",
        "the list is in the order in which a recursion is done with the nodes: inputs do come first in it, but it is "
        "not by the time at which nodes were made, as is asked",
        lambda s, b: _recursion(s, b, first=False),
    ),
    _found("once-for-each-user", "a node is listed once for each use of it: remember which you have seen", _each_path),
    _found(
        "starts-left-out", "the starts themselves are not in the list", lambda s, b: _without(_sorted(_search(s, b)), s)
    ),
    _found(
        "first-start-only",
        "only what stands behind the first start is found",
        lambda s, b: _sorted(_search(s[:1], b)),
    ),
    _found(
        "one-step",
        "the search ends with the direct inputs of the starts",
        lambda s, b: _sorted(_search([*s, *(each for node in s for each in b(node))], lambda node: [])),
    ),
    _found(
        "first-input-only",
        "the search follows only the first input of each node",
        lambda s, b: _sorted(_search(s, _first_inputs(b))),
    ),
)


def _useful(name: str, sentence: str, function: Callable[..., Any]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=_run(adapter.needed, function))


def _leads(
    nodes: list[Any],
    wanted: set[int],
    behind: Callable[[Any], list[int]],
    enough: Callable[[Any], bool] = any,
) -> set[int]:
    useful = set(wanted)
    for node in nodes:
        if enough(order in useful for order in behind(node)):
            useful.add(node.order)
    return useful


def _changing(nodes: list[Any], wanted: set[int], behind: Callable[[Any], list[int]]) -> set[int]:
    wanted |= _leads(nodes, wanted, behind)
    return wanted


def _used_by(nodes: list[Any], wanted: set[int], behind: Callable[[Any], list[int]]) -> set[int]:
    """The wrong direction: what the wanted ones depend on."""
    useful = set(wanted)
    for node in reversed(nodes):
        if node.order in useful:
            useful.update(behind(node))
    return useful


NEEDED = (
    _useful(
        "wanted-left-out",
        "what is wanted is not itself among the orders",
        lambda n, w, b: _leads(n, w, b) - w,
    ),
    _useful(
        "one-step",
        "only nodes that use what is wanted directly are kept, not those that use them in turn: go through the nodes "
        "oldest first, and look at what is kept by then",
        lambda n, w, b: w | {node.order for node in n if not w.isdisjoint(b(node))},
    ),
    _useful(
        "all-inputs",
        "all inputs of a node must lead to what is wanted: one is enough",
        lambda n, w, b: _leads(n, w, b, all),
    ),
    _useful(
        "first-input-only",
        "only the first input of each node is looked at",
        lambda n, w, b: _leads(n, w, lambda node: b(node)[:1]),
    ),
    _useful("wrong-direction", "you keep what the wanted ones depend on: kept is what depends on them", _used_by),
    _useful(
        "everything-later",
        "every node made after the first that is wanted is kept, whether it depends on it or not",
        lambda n, w, b: w | {node.order for node in n if node.order > min(w)},
    ),
    _useful("set-changed", "the set `wanted` itself is changed: make a copy, the caller still uses it", _changing),
)
