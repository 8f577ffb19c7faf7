"""More known mistakes with finding nodes and with the pass back: what is left out, listed twice, or comes too late."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any

from tinyres.lab.labs.lab01_autograd import adapter, slips
from tinyres.lab.labs.lab01_autograd.recipes_nodes import SAME, run
from tinyres.lab.task import Case, Recipe

Behind = Callable[[Any], Any]


def _all(starts: list[Any], behind: Behind, inputs: slice = slice(None)) -> list[Any]:
    """All nodes behind the starts, oldest first."""
    found: dict[int, Any] = {}
    rest = list(starts)
    while rest:
        node = rest.pop()
        if node.order not in found:
            found[node.order] = node
            rest += list(behind(node))[inputs]
    return [found[order] for order in sorted(found)]


def _reachable(name: str, sentence: str, function: Callable[..., Any]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=run(adapter.reachable, function))


def _starts_apart(starts: list[Any], behind: Behind, first: bool) -> list[Any]:
    """The starts before or behind all others, which are in order."""
    orders = {node.order for node in starts}
    others = [node for node in _all(starts, behind) if node.order not in orders]
    own = sorted({node.order: node for node in starts}.values(), key=lambda node: node.order)
    return [*own, *others] if first else [*others, *own]


def _starts_twice(starts: list[Any], behind: Behind) -> list[Any]:
    orders = {node.order for node in starts}
    others = [node for node in _all(starts, behind) if node.order not in orders]
    return sorted([*starts, *others], key=lambda node: node.order)


MORE_REACHABLE = (
    _reachable(
        "last-input-only",
        "the search follows only the last input of each node",
        lambda s, b: _all(s, b, slice(-1, None)),
    ),
    _reachable("last-start-only", "only what stands behind the last start is found", lambda s, b: _all(s[-1:], b)),
    _reachable(
        "a-start-twice", "a start that is given twice is listed twice: remember which you have seen", _starts_twice
    ),
    _reachable(
        "starts-first",
        "the starts stand first in the list: each node stands where its order puts it",
        partial(_starts_apart, first=True),
    ),
    _reachable(
        "starts-at-the-end",
        "the starts stand at the end of the list: each node stands where its order puts it",
        partial(_starts_apart, first=False),
    ),
    _reachable("nothing-found", "the list stays empty", lambda s, b: []),
    _reachable(
        "oldest-left-out", "the oldest node is left out: the search ends one too early", lambda s, b: _all(s, b)[1:]
    ),
    _reachable(
        "newest-left-out", "the newest node is left out: the start belongs to the list", lambda s, b: _all(s, b)[:-1]
    ),
)


def _leads(nodes: list[Any], wanted: set[int], behind: Behind, inputs: slice = slice(None)) -> set[int]:
    useful = set(wanted)
    for node in nodes:
        if not useful.isdisjoint(list(behind(node))[inputs]):
            useful.add(node.order)
    return useful


def _needed(name: str, sentence: str, function: Callable[..., Any]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=run(adapter.needed, function))


MORE_NEEDED = (
    _needed(
        "last-input-only",
        "only the last input of each node is looked at",
        lambda n, w, b: _leads(n, w, b, slice(-1, None)),
    ),
    _needed("nothing-added", "only what is wanted itself is kept", lambda n, w, b: set(w)),
    _needed("everything", "every node is kept, and what is wanted", lambda n, w, b: w | {node.order for node in n}),
    _needed("nothing-kept", "nothing is kept", lambda n, w, b: set()),
    _needed(
        "wanted-leaves-left-out",
        "leaves that are wanted are not among the orders: only nodes are",
        lambda n, w, b: _leads(n, w, b) & {node.order for node in n},
    ),
    _needed(
        "last-wanted-only", "only the last of what is wanted is looked for", lambda n, w, b: _leads(n, {max(w)}, b)
    ),
    _needed(
        "the-others",
        "what does not lead to what is wanted is kept: the other nodes are",
        lambda n, w, b: {node.order for node in n} - _leads(n, w, b),
    ),
)


def _walk(name: str, sentence: str, function: Callable[..., Any]) -> Recipe:
    return Recipe(name, SAME + sentence, instead=run(adapter.walk_back, function))


def _slip(name: str, sentence: str, **slip: Any) -> Recipe:
    return Recipe(name, SAME + sentence, before=lambda case: case.but(**slip))


def _leaves_at_once(starts: slips.Starts, visit: slips.Visit) -> None:
    """A leaf is visited for each gradient that comes."""

    def sent(pairs: list[Any]) -> list[Any]:
        for edge, gradient in pairs:
            if not isinstance(edge, tuple):
                visit(edge, [gradient])
        return [(edge, gradient) for edge, gradient in pairs if isinstance(edge, tuple)]

    slips.heaped(sent(list(starts)), visit, sent=sent)


def _leaves_last(starts: slips.Starts, visit: slips.Visit) -> None:
    """Leaves wait until all nodes have been visited."""
    leaves: dict[int, list[Any]] = {}

    def sent(pairs: list[Any]) -> list[Any]:
        for edge, gradient in pairs:
            if not isinstance(edge, tuple):
                known = leaves.get(edge.order)
                leaves[edge.order] = [edge, gradient if known is None else known[1] + gradient]
        return [(edge, gradient) for edge, gradient in pairs if isinstance(edge, tuple)]

    slips.heaped(sent(list(starts)), visit, sent=sent)
    for order in sorted(leaves, reverse=True):
        visit(leaves[order][0], [leaves[order][1]])


def _result_by_result(starts: slips.Starts, visit: slips.Visit) -> None:
    """A node is visited once for each of its results."""
    waiting: dict[tuple[int, int], Any] = {}
    heap: list[tuple[int, int, Any]] = []

    def send(edge: slips.Edge, gradient: slips.Gradient) -> None:
        owner, index = slips.owner_of(edge)
        if (owner.order, index) not in waiting:
            heapq.heappush(heap, (-owner.order, index, owner))
            waiting[owner.order, index] = gradient
        else:
            waiting[owner.order, index] = waiting[owner.order, index] + gradient

    for edge, gradient in starts:
        send(edge, gradient)
    while heap:
        _, index, owner = heapq.heappop(heap)
        given = slips.blank(owner)
        given[index] = waiting.pop((owner.order, index))
        for edge, gradient in visit(owner, given):
            send(edge, gradient)


def _all_results(starts: slips.Starts, visit: slips.Visit) -> None:
    """A node of which a result was not used is not visited."""
    slips.heaped(starts, lambda owner, given: () if any(g is None for g in given) else visit(owner, given))


def _starts_not_visited(starts: slips.Starts, visit: slips.Visit) -> None:
    """The pass ends before what stands behind the direct inputs of the starts."""
    started = {slips.owner_of(edge)[0].order for edge, _ in starts}
    slips.heaped(starts, lambda owner, given: visit(owner, given) if owner.order in started else ())


def _ends(name: str, sentence: str, kept: slice) -> Recipe:
    def before(case: Case) -> Case:
        return case.but({key: case.arrays[key][kept] for key in ("roots", "cotangents")})

    return Recipe(name, SAME + sentence, before=before)


def _first_of_each_start(case: Case) -> Case:
    roots = [tuple(root) for root in case.arrays["roots"].tolist()]
    kept = [i for i, root in enumerate(roots) if root not in roots[:i]]
    return case.but({name: case.arrays[name][kept] for name in ("roots", "cotangents")})


def _without_leaf_roots(case: Case) -> Case:
    nodes = case.arrays["results"][case.arrays["roots"][:, 0]] > 0
    return case.but({name: case.arrays[name][nodes] for name in ("roots", "cotangents")})


MORE_WALKS = (
    _walk(
        "leaves-at-once",
        "a leaf is visited for each gradient that comes to it: once, with their sum",
        _leaves_at_once,
    ),
    _walk(
        "leaves-last",
        "leaves are visited after all nodes: they have an order as nodes do, and their turn by it",
        _leaves_last,
    ),
    _walk(
        "result-by-result",
        "a node is visited once for each of its results: once, with the gradients of all of them",
        _result_by_result,
    ),
    _walk(
        "all-results-needed",
        "a node is not visited if one of its results has no gradient: None stands for that one",
        _all_results,
    ),
    _walk("one-step", "the pass ends with the direct inputs of the roots", _starts_not_visited),
    _slip(
        "averaged",
        "a gradient that comes and what came before are averaged: they have to be added",
        add=lambda before, gradient: (before + gradient) / 2,
    ),
    _slip(
        "subtracted",
        "a second gradient for the same result is subtracted: they have to be added",
        add=lambda before, gradient: before - gradient,
    ),
    _slip(
        "multiplied",
        "a second gradient for the same result multiplies the first: they have to be added",
        add=lambda before, gradient: before * gradient,
    ),
    _ends("last-root-only", "the pass starts from the last root only", slice(-1, None)),
    Recipe(
        "a-start-once",
        SAME + "of two gradients that start at the same place only the first is kept: they have to be added",
        before=_first_of_each_start,
    ),
    Recipe(
        "leaf-roots-left-out",
        SAME + "a root that is a leaf gets nothing: its gradient arrives where it starts",
        before=_without_leaf_roots,
    ),
)
