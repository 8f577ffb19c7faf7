"""How the functions of this lab are called: graphs are built from arrays of integers, in the worker.

Row k of `results` is the node or leaf of order k: the number of its results, 0 for a leaf. Row e of `edges` is one
input of a node: (user, owner, index), in the order of the user's inputs. A node is a linear map: what goes back along
edge e is the sum over the user's results r of ``weights[e, r] * gradient[r]``, and what goes forward along it is added
to each result times that weight.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

Arrays = dict[str, Any]


class Leaf:
    """What nobody computed."""

    __slots__ = ("order",)

    def __init__(self, order: int) -> None:
        self.order = order


class Node:
    """One operation: when it was made, how many results it has, and where its inputs came from."""

    __slots__ = ("edges", "order", "results", "rows")

    def __init__(self, order: int, results: int) -> None:
        self.order, self.results = order, results
        self.edges: tuple[Any, ...] = ()
        self.rows: list[int] = []


class TooMany(BaseException):
    """More visits than any sensible walk makes: what has been found so far is what counts."""


def build(results: Any, edges: Any) -> list[Any]:
    """Nodes and leaves by their order."""
    owners: list[Any] = [Node(k, int(n)) if n else Leaf(k) for k, n in enumerate(results)]
    for row, (user, owner, index) in enumerate(np.asarray(edges).tolist()):
        owners[user].edges += (edge(owners, owner, index),)
        owners[user].rows.append(row)
    return owners


def edge(owners: list[Any], owner: int, index: int) -> Any:
    """The edge to a result, or to a leaf."""
    return (owners[owner], index) if isinstance(owners[owner], Node) else owners[owner]


def listed(orders: list[int], size: int) -> Any:
    """[size + 1]: the orders, -1 behind them, and at the end how many there were."""
    kept = orders[:size]
    return np.array([*kept, *[-1] * (size - len(kept)), len(orders)], dtype=np.int64)


def each(found: Any, kind: type | tuple[type, ...], wanted: str) -> list[Any]:
    """What a function returned, as a list; a sentence for what is no collection of that kind."""
    if found is None:
        raise TypeError(f"it returned nothing; {wanted} is asked for.")
    try:
        values = list(found)
    except TypeError:
        raise TypeError(f"it returned a {type(found).__name__}; {wanted} is asked for.") from None
    strange = [value for value in values if not isinstance(value, kind)]
    if strange:
        kinds = f"{type(found).__name__} of {type(strange[0]).__name__}"
        raise TypeError(f"it returned a {kinds}; {wanted} is asked for.")
    return values


def reachable(function: Callable[..., Any], arrays: Arrays) -> Arrays:
    """`order.reachable`: the list of nodes by their orders."""
    owners, asked = build(arrays["results"], arrays["edges"]), 0

    def behind(node: Node) -> list[Node]:
        nonlocal asked
        asked += 1
        if asked > 3 * len(owners) + 10:
            raise RuntimeError(
                f"behind() was asked more than {asked - 1} times about {len(owners)} nodes; look behind each node once."
            )
        return [each[0] for each in node.edges if isinstance(each, tuple)]

    found = function([owners[start] for start in arrays["starts"]], behind)
    nodes = each(found, (Node, Leaf), "a list of nodes")
    return {"found": listed([node.order for node in nodes], len(owners))}


def needed(function: Callable[..., Any], arrays: Arrays) -> Arrays:
    """`order.needed`: a 1 for each order that leads to what is wanted, and for each that is wanted after the call."""
    owners = build(arrays["results"], arrays["edges"])
    wanted = {int(order) for order in arrays["wanted"]}

    def orders_behind(node: Node) -> list[int]:
        return [each[0].order if isinstance(each, tuple) else each.order for each in node.edges]

    useful = function([node for node in owners if isinstance(node, Node)], wanted, orders_behind)
    masks = {"useful": np.zeros(len(owners), np.int64), "wanted_after": np.zeros(len(owners), np.int64)}
    masks["useful"][each(useful, (int, np.integer), "a set of orders, which are numbers,")] = masks["wanted_after"][
        sorted(wanted)
    ] = 1
    return masks


def walk_back(function: Callable[..., Any], arrays: Arrays) -> Arrays:
    """`order.walk_back`: in which order it visited, and what each result was given, over all visits."""
    owners = build(arrays["results"], arrays["edges"])
    weights, cotangents = arrays["weights"], arrays["cotangents"]
    gradients = np.zeros((len(owners), weights.shape[1], cotangents.shape[1]), cotangents.dtype)
    visits: list[int] = []

    def visit(owner: Any, given: list[Any]) -> list[tuple[Any, Any]]:
        visits.append(owner.order)
        for index, gradient in enumerate(given):
            if gradient is not None:
                gradients[owner.order, index] += gradient
        if len(visits) > 3 * len(owners) + 10:
            raise TooMany
        return [] if isinstance(owner, Leaf) else backward(owner, given, weights)

    starts = [(edge(owners, *place), c.copy()) for place, c in zip(arrays["roots"].tolist(), cotangents, strict=True)]
    with suppress(TooMany):  # the number of visits says it
        function(starts, visit)
    return {"visits": listed(visits, len(owners)), "gradients": gradients}


def backward(node: Node, given: list[Any], weights: Any) -> list[tuple[Any, Any]]:
    """What a node sends to its inputs; a weight of 1 sends the very array, as an addition does."""
    sent = []
    for each, row in zip(node.edges, node.rows, strict=True):
        parts = [g if w == 1 else w * g for w, g in zip(weights[row], given, strict=False) if g is not None]
        if parts:
            sent.append((each, sum(parts[1:], start=parts[0])))
    return sent


def forward(function: Callable[..., Any], arrays: Arrays) -> Arrays:
    """`forward.walk`: in which order it pushed, and the tangents of the ends."""
    owners, weights, changes = build(arrays["results"], arrays["edges"]), arrays["weights"], arrays["changes"]
    pushes: list[int] = []

    def push(node: Node, tangents: list[Any]) -> list[Any]:
        pushes.append(node.order)
        if len(pushes) > 3 * len(owners) + 10:
            raise TooMany
        moved = [(row, t) for row, t in zip(node.rows, tangents, strict=True) if t is not None]
        blank = np.zeros(changes.shape[1], changes.dtype)
        return [sum((weights[row, r] * t for row, t in moved), start=blank) for r in range(node.results)]

    ends = [edge(owners, *place) for place in arrays["ends"].tolist()]
    try:
        found = function(ends, [(owners[k], c) for k, c in zip(arrays["leaves"], changes, strict=True)], push)
    except TooMany:
        found = [None] * len(ends)
    found = each(found, object, "a list with a tangent for each end")
    blank = np.zeros(changes.shape[1], changes.dtype)
    return {"pushes": listed(pushes, len(owners)), "tangents": np.stack([blank if t is None else t for t in found])}


def pair(function: Callable[..., Any], arrays: Arrays, needs: tuple[bool, bool]) -> Arrays:
    """`derive.product` and `derive.quotient`: 0 stands for a gradient that was not computed."""
    found = function(arrays["dy"], arrays["a"], arrays["b"], needs)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise TypeError("it returned something else than the two gradients da, db.")
    return {
        name: np.zeros_like(arrays["dy"]) if gradient is None else gradient
        for name, gradient in zip(("da", "db"), found, strict=True)
    }


CALLS = {
    "order.reachable": lambda modules, arrays, params, outs: reachable(modules["passback.py"].reachable, arrays),
    "order.needed": lambda modules, arrays, params, outs: needed(modules["passback.py"].leading_to, arrays),
    "order.walk_back": lambda modules, arrays, params, outs: walk_back(modules["passback.py"].walk_back, arrays),
    "derive.sum_to": lambda modules, arrays, params, outs: {
        "y": modules["derivatives.py"].sum_to(arrays["x"], tuple(params["shape"]))
    },
    "derive.product": lambda modules, arrays, params, outs: pair(
        modules["derivatives.py"].product, arrays, tuple(params["needs"])
    ),
    "derive.quotient": lambda modules, arrays, params, outs: pair(
        modules["derivatives.py"].quotient, arrays, tuple(params["needs"])
    ),
    "derive.softmax": lambda modules, arrays, params, outs: {
        "dx": modules["derivatives.py"].softmax(arrays["dy"], arrays["y"], params["axis"])
    },
    "forward.walk": lambda modules, arrays, params, outs: forward(modules["forward.py"].walk_forward, arrays),
}
