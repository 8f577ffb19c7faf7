"""Backward passes that keep a gradient in parts.

The derivative of a node is linear in its cotangent, so a sum of cotangents may pass through it one by one:

    g = sum_k g_k   =>   J^T g = sum_k J^T g_k

`parts_by_choice` carries the parts of a gradient from the loss back to one tensor. At the sum that ends a residual
block a part goes on along both doors, and along the branch its number k rises by one: g_k is what came over k branches.
Every node is visited once, and forgets what it kept as soon as it has been used.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from tinyres.autograd import Listener, listening, run_backward
from tinyres.errors import GradientError
from tinyres.flow.measures.branches import Block
from tinyres.flow.measures.trace import Step, Trace
from tinyres.function import Edge, Function, recording
from tinyres.kernels import registry
from tinyres.tensor import Tensor

Parts = dict[int, Tensor]  # number of branches -> part of the gradient


def gradients_of(made: Trace, tensors: list[Tensor], hear: Listener | None = None) -> list[Tensor]:
    """Ordinary gradients of the target with respect to some tensors of a trace, which can be used again.

    `hear`, if given, is called with every part of a gradient, as `autograd.listening` does.

    Raises
    ------
    GradientError
        The batch is not finite, or a value or gradient is not: says where that first happens, forward or on the way
        back.
    """
    broken: list[str] = []

    def look(source: Function, edge: Edge, gradient: Tensor) -> None:
        if hear is not None:
            hear(source, edge, gradient)
        if not broken and not bool(np.isfinite(gradient.numpy()).all()):
            step = made.steps.get(source.order)
            broken.append(source.name if step is None else _place(step))

    if not np.isfinite(made.x.numpy()).all():
        raise GradientError("the batch holds values that are not finite: there is nothing to measure on it.")
    loss = made.target.item()
    with np.errstate(all="ignore"), listening(look):
        found = run_backward([made.target], [made.target.cotangent(None)], sources=tensors, retain_graph=True)
    if not np.isfinite(loss) or broken:
        ahead = [_place(step) for step in made.steps.values() if not np.isfinite(step.results[0].numpy()).all()]
        way, places = ("forward", ahead) if ahead else ("back", broken)
        where = f"; on the way {way} the first value that is not finite leaves {places[0]}" if places else ""
        raise GradientError(f"the loss is {loss:g}{where}: there is nothing to measure before the net is finite.")
    if any(gradient is None for gradient in found):
        raise GradientError("the loss does not depend on a tensor whose gradient was asked for.")
    return [gradient for gradient in found if gradient is not None]


def parts_by_choice(made: Trace, blocks: list[Block], start: int) -> Parts:
    """The gradient with respect to one tensor, in parts by the number of branches on the way.

    Parameters
    ----------
    made : Trace
        Used up: what its nodes kept is freed on the way.
    blocks : list of Block
        Whose branches count.
    start : int
        Order of the node whose (first) result it is, or of the input.

    Returns
    -------
    dict of int to Tensor
        Their sum is the gradient.
    """
    branches = {block.merge: block.branch for block in blocks}
    useful = _between(made, start)
    steps, made.steps = made.steps, {}  # so that nothing is held longer than the walk needs it
    assert made.target.node is not None  # a trace has a target that depends on the input
    last = made.target.node.order
    pending: dict[int, dict[int, Parts]] = {last: {0: {0: made.target.cotangent(None)}}}  # owner -> result -> parts
    heap = [-last]
    with recording(False):
        while heap and -heap[0] != start:
            order = -heapq.heappop(heap)
            step, received = steps.pop(order), pending.pop(order)
            needed = {position: source for position, source in step.sources.items() if source in useful}
            for length in sorted({k for parts in received.values() for k in parts}):
                cotangents = [received.get(index, {}).get(length) for index in range(step.node.results)]
                for position, gradient in _back(step, cotangents, set(needed)).items():
                    edge = step.node.edges[position]
                    owner, index = needed[position], 0 if edge is None or isinstance(edge, Tensor) else edge[1]
                    if owner not in pending:
                        pending[owner] = {}
                        heapq.heappush(heap, -owner)
                    parts = pending[owner].setdefault(index, {})
                    rank = length + (branches.get(order) == position)
                    parts[rank] = parts[rank] + gradient if rank in parts else gradient
            step.node.release()
    return pending.get(start, {}).get(0, {})


def number_of_paths(made: Trace, blocks: list[Block], start: int) -> dict[int, int]:
    """How many ways lead from the target to one tensor, by the number of branches on them; for `start` see above.

    Ways that make the same choices at every block are one: a batch norm written out in ops has many edges, no choice.
    For n blocks one after the other these are the binomial coefficients n over k.
    """
    sides = {block.merge: block for block in blocks}
    useful = _between(made, start)
    assert made.target.node is not None  # as above
    arrived: dict[int, dict[tuple[int, int], dict[int, int]]] = {made.target.node.order: {(0, 0): {0: 1}}}
    for order in sorted(useful - {start}, reverse=True):
        ways = arrived.pop(order, {})
        total = _added(list(ways.values()))
        chosen = sides.get(order)
        for position, source in made.steps[order].sources.items():
            if source in useful:
                onward = arrived.setdefault(source, {})  # last choice -> ways that made it
                if chosen is None:
                    onward.update(ways)
                else:
                    rise = position == chosen.branch
                    onward[order, position] = {k + rise: count for k, count in total.items()}
    return _added(list(arrived.get(start, {}).values()))


def _added(polynomials: list[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for polynomial in polynomials:
        for power, count in polynomial.items():
            total[power] = total.get(power, 0) + count
    return total


def _between(made: Trace, start: int) -> set[int]:
    """Nodes through which the target depends on `start`, that included."""
    useful = {start}
    for order in sorted(made.steps):
        if not useful.isdisjoint(made.steps[order].sources.values()):
            useful.add(order)
    return useful


def _place(step: Step) -> str:
    """Where a node stands, for a person."""
    return f"{step.name} ({step.node.name}, depth {step.depth})"


def _back(step: Step, cotangents: list[Tensor | None], needed: set[int]) -> Parts:
    """Through one node: gradients of the inputs at these positions."""
    node = step.node
    node.needs = tuple(position in needed for position in range(len(node.edges)))
    with registry.restored(node.choices):
        node.recall()
        backward: Callable[..., object] = node.backward
        returned = backward(*cotangents)
    if "y" in node.keeps:
        del node.y
    inputs = returned if isinstance(returned, tuple) else (returned,)
    return {position: inputs[position] for position in needed if isinstance(inputs[position], Tensor)}
