"""The order of the pass back, on nodes that are nothing but numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from tinyres.passback import leading_to, reachable, walk_back


@dataclass(eq=False)
class Node:
    order: int
    edges: list = field(default_factory=list)  # (node, index) or a leaf
    results: int = 1

    def __lt__(self, other):
        raise AssertionError("nodes are compared by their order alone")


@dataclass(eq=False)
class Leaf:
    order: int


def walked(root, cotangent=1.0, step=lambda node, gradients: [(edge, gradients[0]) for edge in node.edges]):
    """The orders visited, and what arrived there."""
    visits = []

    def visit(owner, gradients):
        visits.append((owner.order, list(gradients)))
        return step(owner, gradients) if isinstance(owner, Node) else []

    walk_back([((root, 0), cotangent)], visit)
    return visits


def behind(node):
    return [edge[0] for edge in node.edges if isinstance(edge, tuple)]


def test_a_diamond_is_counted_once():
    x = Leaf(0)
    a = Node(1, [x])
    b, c = Node(2, [(a, 0)]), Node(3, [(a, 0)])
    d = Node(4, [(b, 0), (c, 0)])
    assert walked(d) == [(4, [1.0]), (3, [1.0]), (2, [1.0]), (1, [2.0]), (0, [2.0])]


def test_shortcuts_do_not_multiply():
    """60 of them: 2^60 paths, 121 visits."""
    edge = leaf = Leaf(0)
    for order in range(1, 61):
        edge = (Node(order, [edge, edge]), 0)
    visits = walked(edge[0])
    assert [order for order, _ in visits] == list(range(60, -1, -1))
    assert visits[-1] == (leaf.order, [2.0**60])


def test_a_chain_of_100_000_needs_no_recursion():
    edge = Leaf(0)
    for order in range(1, 100_001):
        edge = (Node(order, [edge]), 0)
    assert len(walked(edge[0])) == 100_001
    assert len(reachable([edge[0]], behind)) == 100_000


def test_results_have_sums_of_their_own():
    split = Node(1, [Leaf(0)], results=3)
    join = Node(2, [(split, 2), (split, 0), (split, 2)])
    assert dict(walked(join, 5.0))[1] == [5.0, None, 10.0]


def test_what_is_sent_is_not_changed():
    """One array goes to both inputs; one of them gets more."""
    x, y = Leaf(0), Leaf(1)
    gradient = np.ones(2)
    visits = dict(walked(Node(2, [x, y, x]), gradient))
    assert visits[0][0].tolist() == [2.0, 2.0]
    assert visits[1][0].tolist() == gradient.tolist() == [1.0, 1.0]


def test_a_visit_that_yields_nothing_ends_there():
    a = Node(1, [Leaf(0)])
    assert walked(Node(2, [(a, 0)]), step=lambda node, _: []) == [(2, [1.0])]


@pytest.mark.parametrize(("wanted", "useful"), [({0}, {0, 2, 4}), ({1}, {1, 3, 4}), ({2, 1}, {1, 2, 3, 4}), ({9}, {9})])
def test_leading_to(wanted, useful):
    a, b = Node(2, [Leaf(0)]), Node(3, [Leaf(1)])
    top = Node(4, [(a, 0), (b, 0)])
    nodes = reachable([top, b], behind)
    assert [node.order for node in nodes] == [2, 3, 4]
    before = set(wanted)
    orders = lambda node: [edge[0].order if isinstance(edge, tuple) else edge.order for edge in node.edges]  # noqa: E731
    assert leading_to(nodes, wanted, orders) == useful
    assert wanted == before
