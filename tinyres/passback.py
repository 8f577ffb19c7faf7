"""The order of the pass back: on nodes and edges alone, whatever they compute.

A graph is made of nodes, one for each operation, and leaves. Each has a number, its `order`: what was made later has a
larger one, so whatever uses a result has a larger number than what made it. A node also has `results`, how many
results it computes. An edge is the place where a gradient goes: ``(node, index)``, one of the results of a node, or a
leaf itself.

The three functions below are loops, not recursions, so that depth costs nothing, and they touch each node once: a
walk from node to input to input would take 2^n paths through n shortcuts.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

Node = Any
Owner = Any  # a node or a leaf
Edge = Any  # (node, index) or a leaf
Gradient = Any  # a Tensor, an array, a number: whatever can be added


def reachable(starts: Iterable[Node], behind: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """All nodes from which the starts were computed, the starts among them.

    Parameters
    ----------
    starts : iterable of nodes
        The same node may come twice.
    behind : callable
        ``behind(node)`` yields the nodes that made the inputs of a node; the same one twice where it is used twice.

    Returns
    -------
    list of nodes
        Each once, oldest first: by increasing `order`.
    """
    # BEGIN SOLUTION order.reachable
    # STEP go from node to node with a list of those still to look at, and remember by their order those that you saw
    # STEP sort what you found
    found: dict[int, Node] = {}
    stack = list(starts)
    while stack:
        node = stack.pop()
        if node.order not in found:
            found[node.order] = node
            stack.extend(behind(node))
    return [found[order] for order in sorted(found)]
    # END SOLUTION


def leading_to(nodes: Iterable[Node], wanted: set[int], orders_behind: Callable[[Node], Iterable[int]]) -> set[int]:
    """Through which nodes the result depends on what is wanted; the pass back can leave out all others.

    Parameters
    ----------
    nodes : iterable of nodes
        Oldest first, as `reachable` gives them.
    wanted : set of int
        Orders of the leaves and nodes with respect to which gradients are wanted; left as it is.
    orders_behind : callable
        ``orders_behind(node)`` yields the orders of the nodes and leaves that are the inputs of a node.

    Returns
    -------
    set of int
        The orders that are wanted, and those of all nodes that depend on one of them, at whatever distance.
    """
    # BEGIN SOLUTION order.needed
    # STEP oldest first: a node leads there if one of its inputs does
    useful = set(wanted)
    for node in nodes:
        if not useful.isdisjoint(orders_behind(node)):
            useful.add(node.order)
    return useful
    # END SOLUTION


def walk_back(
    starts: Iterable[tuple[Edge, Gradient]],
    visit: Callable[[Owner, list[Gradient | None]], Iterable[tuple[Edge, Gradient]]],
) -> None:
    """Send gradients back through a graph: visit each node and leaf once, latest made first.

    Parameters
    ----------
    starts : iterable of (edge, gradient)
        The results from which to start, each with its own gradient; the same edge may come twice.
    visit : callable
        ``visit(owner, gradients)`` does one step: it is given a node or a leaf and, for each of its results (a leaf
        has one), the sum of all gradients that were sent there, or None where none was. It yields (edge, gradient)
        for what goes on to the inputs; the same edge may come twice, and the same gradient may go to two edges. So
        add with ``a + b``, which makes a new one, and not with ``a += b``, which changes what somebody else holds.
    """
    # BEGIN SOLUTION order.walk_back
    # STEP keep for each node or leaf that was sent something the sums of what came, one for each result
    # STEP of those that wait, visit the one with the largest order: nobody is left who could send it more
    # STEP what the visit yields is sent on, until nobody waits
    waiting: dict[int, list[Gradient | None]] = {}
    heap: list[tuple[int, Owner]] = []  # the smallest comes out first, hence the minus

    def send(edge: Edge, gradient: Gradient) -> None:
        owner, index = edge if isinstance(edge, tuple) else (edge, 0)
        sums = waiting.get(owner.order)
        if sums is None:
            sums = waiting[owner.order] = [None] * (owner.results if isinstance(edge, tuple) else 1)
            heapq.heappush(heap, (-owner.order, owner))
        before = sums[index]
        sums[index] = gradient if before is None else before + gradient

    for edge, gradient in starts:
        send(edge, gradient)
    while heap:
        _, owner = heapq.heappop(heap)
        for edge, gradient in visit(owner, waiting.pop(owner.order)):
            send(edge, gradient)
    # END SOLUTION
