"""Known mistakes with finding nodes: for each a wrong function, run on the same nodes as the student's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyres.lab.labs.lab01_autograd import adapter
from tinyres.lab.task import Case, Recipe, Results

SAME = "equals what you get if "


def run(call: Callable[..., Results], function: Callable[..., Any]) -> Callable[[Case], Results]:
    """A wrong function, called as the student's is."""
    return lambda case: call(function, {name: array.copy() for name, array in case.arrays.items()})


def _found(name: str, sentence: str, function: Callable[..., Any]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=run(adapter.reachable, function))


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
    return Recipe(name, SAME + sentence, instead=run(adapter.needed, function))


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
