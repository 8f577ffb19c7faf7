"""Forward mode: the same graph in the other direction, oldest first.

The pass back asks what each leaf does to one result. Forward mode asks what one small change of the leaves does to all
results: every node is told the changes ("tangents") of its inputs, and says those of its results. tinyres has no such
pass, so what you write here is new to it. `reachable` below is yours, from passback.py.

Nodes are those of `passback`, with `order` and `results`; here they also have `edges`, a tuple that says where each
input came from: ``(node, index)`` or a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tinyres.passback import reachable

Node = Any
Edge = Any  # (node, index) or a leaf
Tangent = Any  # whatever can be added


def walk_forward(
    ends: Sequence[Edge],
    starts: Iterable[tuple[Any, Tangent]],
    push: Callable[[Node, list[Tangent | None]], Sequence[Tangent]],
) -> list[Tangent | None]:
    """The changes of some results, given those of some leaves.

    Parameters
    ----------
    ends : sequence of edges
        The results whose changes are wanted: ``(node, index)``, or a leaf.
    starts : iterable of (leaf, tangent)
        The leaves that change, and by how much. All other leaves stay as they are.
    push : callable
        ``push(node, tangents)`` does one step: it is given a node and the tangent of each of its inputs, None where
        that input does not change, and returns the tangents of all its results. Call it once for each node that an
        end depends on and of which at least one input changes, oldest first, and for no other.

    Returns
    -------
    list of tangents
        One for each end; None where it does not change.
    """
    # BEGIN SOLUTION forward.walk
    # STEP find the nodes behind the ends with your `reachable`: the edges of a node lead to those before it
    # STEP oldest first, look up the tangents of a node's inputs; if there is one, push and note down what comes out
    tangents: dict[tuple[int, int], Tangent] = {(leaf.order, 0): tangent for leaf, tangent in starts}

    def tangent_of(edge: Edge) -> Tangent | None:
        return tangents.get((edge[0].order, edge[1]) if isinstance(edge, tuple) else (edge.order, 0))

    def makers(edges: Iterable[Edge]) -> list[Node]:
        return [edge[0] for edge in edges if isinstance(edge, tuple)]

    for node in reachable(makers(ends), lambda node: makers(node.edges)):
        arriving = [tangent_of(edge) for edge in node.edges]
        if any(tangent is not None for tangent in arriving):
            tangents |= {(node.order, index): tangent for index, tangent in enumerate(push(node, arriving))}
    return [tangent_of(edge) for edge in ends]
    # END SOLUTION
