"""How the nodes of one forward pass hang together, while they are made: numbers and names, none of their arrays.

It fills a `measures.trace.Trace` with stand-ins for the nodes, so that blocks and depths are found here as there, but
keeps no activation alive: a network that recomputes its blocks to save memory still saves it while it is recorded.

The data need no gradient, so the ways of the graph begin at the nodes that take them in; those that take in the same
array, or views of it, are joined in one source, as if there were a node for it. A constant that is multiplied with
weights, say, and gives something of their shape is no data: it changes the weights. A node that stands for a recomputed
block has the end of that block as its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from tinyres.flow.measures.branches import MERGES, Block, find_blocks
from tinyres.flow.measures.trace import Call, Step, Trace
from tinyres.function import Function, edge_of, order_of
from tinyres.nn.module import Module, Parameter
from tinyres.tensor import Tensor

Hooks = dict[int, list[Any]]
PRODUCTS = ("matmul", "linear", "conv2d")  # where data meet weights, whatever the shape of the result


@dataclass(frozen=True)
class _StandIn:
    name: str
    stands_for: frozenset[int]


class Wiring:
    """The graph of a forward pass under way.

    Attributes
    ----------
    hooks : dict of int to dict
        For each node, by its order: where hooks on its results are kept, also when a recomputed node takes its place.
    """

    def __init__(self, model: Module) -> None:
        self.hooks: dict[int, Hooks] = {}
        self._made = Trace(model, Tensor(np.zeros(1, np.float32), requires_grad=True))  # its x stands for the data
        self._data: list[Any] = []  # arrays that came in, each a source of its own
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}

    def node(self, node: Function, inputs: tuple[Tensor, ...], result: Tensor) -> Step | None:
        """Note a node that was just made; None for one that no data reach, such as a change of the weights."""
        known = self._made.steps
        sources: dict[int, int] = {}
        weights, name, data, trained = 0, "", None, False
        for position, tensor in enumerate(inputs):
            edge = edge_of(tensor)
            if edge is not None and order_of(edge) in known:
                sources[position] = order_of(edge)
            elif edge is None or (isinstance(edge, Tensor) and not isinstance(edge, Parameter)):
                data = position if tensor.ndim > 1 and data is None else data
            elif tensor.ndim > 1:
                weights += tensor.size
                name = name or self._names.get(id(tensor), "")
                trained = trained or (tensor.shape == result.shape and node.name not in PRODUCTS)
        if node.stands_for:
            sources, weights, name = {0: max(node.stands_for)}, 0, ""
        elif not sources and data is not None and not trained:
            sources = {data: self._entry(inputs[data])}
        if not sources:
            return None
        self.hooks[node.order] = node.hooks
        stand_in = cast(Function, _StandIn(node.name, node.stands_for))
        used = tuple(tensor for tensor in inputs if isinstance(tensor, Parameter))
        depth = max(self.depth(order) for order in sources.values()) + (weights > 0)
        known[node.order] = Step(stand_in, used, (), sources, weights, depth, name)
        return known[node.order]

    def called(self, name: str, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Note what a module was called with and gave, after which blocks are named."""
        if isinstance(output, Tensor) and inputs and isinstance(inputs[0], Tensor):
            start, end = edge_of(inputs[0]), edge_of(output)
            if end is not None:
                known = start is not None and order_of(start) in self._made.steps
                came = order_of(start) if start is not None and known else self._entry(inputs[0], new=False)
                self._made.calls.append(Call(name, module, came, order_of(end)))

    def knows(self, tensor: Tensor) -> bool:
        """Whether a node that has been noted made it."""
        return tensor.node is not None and tensor.node.order in self.hooks

    def depth(self, order: int) -> int:
        """Weighted layers on the longest way up to a node."""
        return self._made.depth_of(order)

    def blocks(self) -> list[Block]:
        """The residual blocks, in the order in which they begin."""
        return find_blocks(self._made)

    def merges(self, step: Step) -> bool:
        """Whether a node may be the end of a block."""
        return step.node.name in MERGES and len(step.sources) == 2

    def _entry(self, tensor: Tensor, new: bool = True) -> int:
        """Order of the source for an array of data, as if made before all nodes; what is not known is the first."""
        array = tensor.data if tensor.data.base is None else tensor.data.base
        place = next((place for place, other in enumerate(self._data) if other is array), None)
        if place is None:
            place = len(self._data) if new else 0
            self._data += [array] if new else []
        return self._made.x.order - place
