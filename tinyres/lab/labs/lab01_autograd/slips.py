"""Wrong ways to go back over a graph, each a `walk_back` that somebody might write."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Edge = Any
Gradient = Any
Visit = Callable[[Any, list[Any]], Iterable[tuple[Edge, Gradient]]]
Starts = Iterable[tuple[Edge, Gradient]]


def owner_of(edge: Edge) -> tuple[Any, int]:
    """The node or leaf, and which of its results."""
    return edge if isinstance(edge, tuple) else (edge, 0)


def blank(owner: Any) -> list[Any]:
    """A place for each result."""
    return [None] * getattr(owner, "results", 1)


def heaped(
    starts: Starts,
    visit: Visit,
    *,
    first: Callable[[int, int], Any] = lambda order, arrival: -order,
    add: Callable[[Any, Any], Any] = lambda before, gradient: before + gradient,
    result: Callable[[Any, int], int] = lambda owner, index: index,
    sent: Callable[[list[Any]], Iterable[Any]] = lambda pairs: pairs,
) -> None:
    """The right walk, but for one thing: who is first, how sums are made, which result, or what is sent on."""
    waiting: dict[int, list[Any]] = {}
    heap: list[tuple[Any, int, Any]] = []
    arrivals = 0

    def send(edge: Edge, gradient: Gradient) -> None:
        nonlocal arrivals
        owner, index = owner_of(edge)
        if owner.order not in waiting:
            waiting[owner.order] = blank(owner)
            arrivals += 1
            heapq.heappush(heap, (first(owner.order, arrivals), owner.order, owner))
        sums, place = waiting[owner.order], result(owner, index)
        sums[place] = gradient if sums[place] is None else add(sums[place], gradient)

    for edge, gradient in starts:
        send(edge, gradient)
    while heap:
        owner = heapq.heappop(heap)[2]
        for edge, gradient in sent(list(visit(owner, waiting.pop(owner.order)))):
            send(edge, gradient)


def from_input_to_input(starts: Starts, visit: Visit, *, sums_kept: bool = False, once: bool = False) -> None:
    """Each gradient that arrives goes on at once, as in a recursion.

    `sums_kept`: together with all that came before; `once`: only the first.
    """
    sums: dict[int, list[Any]] = {}

    def arrive(edge: Edge, gradient: Gradient) -> Iterable[tuple[Edge, Gradient]]:
        owner, index = owner_of(edge)
        if once and owner.order in sums:
            return ()
        given = sums.setdefault(owner.order, blank(owner)) if sums_kept else blank(owner)
        given[index] = gradient if given[index] is None else given[index] + gradient
        sums[owner.order] = given
        return visit(owner, list(given))

    open_ones: list[Iterator[tuple[Edge, Gradient]]] = [iter(list(starts))]
    while open_ones:
        step = next(open_ones[-1], None)
        if step is None:
            open_ones.pop()
        else:
            open_ones.append(iter(arrive(*step)))


def in_place(before: Any, gradient: Any) -> Any:
    """Add to an array that others hold too."""
    before += gradient
    return before


def without_leaves(starts: Starts, visit: Visit) -> None:
    """Leaves are not visited."""
    heaped(starts, visit, sent=lambda pairs: [(edge, g) for edge, g in pairs if isinstance(edge, tuple)])


def roots_last(starts: Starts, visit: Visit) -> None:
    """What comes to a root from another root is lost."""
    roots = {(owner_of(edge)[0].order, owner_of(edge)[1]) for edge, _ in starts}

    def sent(pairs: list[Any]) -> list[Any]:
        return [(edge, g) for edge, g in pairs if (owner_of(edge)[0].order, owner_of(edge)[1]) not in roots]

    heaped(starts, visit, sent=sent)


def each_root_alone(starts: Starts, visit: Visit) -> None:
    """One walk after the other."""
    for start in starts:
        heaped([start], visit)


def one_of_a_kind(pairs: list[Any]) -> list[Any]:
    """A dictionary from edge to gradient: of the same edge twice, the last stays."""
    return list({(owner_of(edge)[0].order, owner_of(edge)[1]): (edge, g) for edge, g in pairs}.values())


def forward(
    ends: list[Edge],
    starts: Starts,
    push: Callable[[Any, list[Any]], list[Any]],
    *,
    step: int = 1,
    arriving: Callable[[list[Any]], list[Any]] = lambda tangents: tangents,
) -> list[Any]:
    """The right walk forward, but for the order of the nodes or what a node is told."""
    found: dict[int, Any] = {}
    rest = [edge[0] for edge in ends if isinstance(edge, tuple)]
    while rest:
        node = rest.pop()
        if node.order not in found:
            found[node.order] = node
            rest += [edge[0] for edge in node.edges if isinstance(edge, tuple)]
    known = {(leaf.order, 0): tangent for leaf, tangent in starts}

    def change(edge: Edge) -> Any:
        owner, index = owner_of(edge)
        return known.get((owner.order, index))

    for order in sorted(found)[::step]:
        told = arriving([change(edge) for edge in found[order].edges])
        if any(tangent is not None for tangent in told):
            known |= {(order, index): tangent for index, tangent in enumerate(push(found[order], told))}
    return [change(edge) for edge in ends]
