"""Recomputation (gradient checkpointing): of a block only the input is kept; backward runs the block once more.

For its derivative a residual block keeps four activations: the results of two convolutions and of two batch norms, the
last of which is the next block's input. Keeping that one alone saves three quarters of the memory and costs a second
forward pass.

In the graph the block is one node. When backward arrives there, the node unfolds: the block runs again, recording, and
its nodes take the place, the numbers and the hooks of those of the first run. So the pass visits the same nodes in the
same order as without recomputation, and its sums are the same sums: every gradient is equal, byte for byte.

The second run sees what the first one saw (running averages, the count of `Dropout`, training or evaluation, the
kernels in force), and what it would change is put back: averages are updated once, masks are drawn once, and hooks on
modules are called once. Source: Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tinyres.errors import GradientError, ShapeError
from tinyres.function import Edge, Function, apply, order_of, recording
from tinyres.kernels import cuda
from tinyres.kernels.launch import Array, on_host
from tinyres.nn.layers import Sequential
from tinyres.nn.module import Module, as_input
from tinyres.tensor import Tensor, creation

SAMPLE = 1000  # values of a block's output that are compared with those of the second run


def recompute(module: Module, x: Any) -> Tensor:
    """``module(x)``, keeping for backward only x: the module runs again when its gradient is wanted.

    Parameters
    ----------
    module : Module
        One tensor to one tensor, a function of its input, parameters and buffers alone (`Dropout` is).
    x : Tensor

    Returns
    -------
    Tensor
        Equal to ``module(x)``, as are all gradients.

    Raises
    ------
    ShapeError
        The module returns something else than a tensor.
    GradientError
        In backward: the second run gave other values than the first, because weights or input were changed in between.

    Examples
    --------
    >>> import numpy as np
    >>> from tinyres import nn
    >>> block, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), np.ones((2, 3), np.float32)
    >>> recompute(block, x).sum().backward()
    >>> block[0].weight.grad.shape
    (3, 4)
    """
    x = as_input(x)
    before = _Surroundings(module)
    start = next(creation)
    y = module(x)
    if not isinstance(y, Tensor):
        raise ShapeError(f"recompute: {type(module).__name__} returned a {type(y).__name__}; a Tensor is wanted.")
    inside, outside = _graph_since(start, y)
    inputs = x, *module.parameters()
    if not inside or not any(tensor.requires_grad for tensor in inputs):
        return y
    function = Recomputed(module, before, inside, y.data)
    result = apply(function, *inputs)
    function.edges = outside
    return result


class RecomputedSequential(Sequential):
    """A `Sequential` that keeps the input of each of its modules, and nothing of their inside."""

    def forward(self, x: Any) -> Any:
        """Each module's output is the next one's input."""
        for _, module in self.children():
            x = recompute(module, x)
        return x


class Recomputed(Function):
    """A block of which nothing but the input is kept."""

    keeps, saves = ("x",), ("before", "sample")

    def __init__(self, module: Module, before: _Surroundings, inside: list[Function], y: Array) -> None:
        self.module, self.before, self.sample, self.first = module, before, _sample_of(y), y
        self.inside = [_Place(node.order, node.hooks, node.stands_for, getattr(node, "inside", [])) for node in inside]
        self.stands_for = frozenset(place.order for place in self.inside).union(*(p.stands_for for p in self.inside))

    def forward(self, x: Array, *parameters: Array) -> Array:
        return vars(self).pop("first")

    def unfold(self) -> Tensor:
        start = next(creation)
        with self.before.again(), recording(True):
            y: Tensor = self.module(self.x)
        nodes, _ = _graph_since(start, y)
        if len(nodes) != len(self.inside) or _sample_of(y.data) != self.sample:
            raise GradientError(
                f"recompute: the second run of {type(self.module).__name__}, for its gradient, gave other values than "
                "the first; change neither its weights nor its input before backward, or do not recompute it."
            )
        for node, place in zip(nodes, self.inside, strict=True):
            node.order, node.hooks = place.order, place.hooks
            if isinstance(node, Recomputed):
                node.inside, node.stands_for = place.inside, place.stands_for
        return y


class _Place(NamedTuple):
    """What a node of the second run takes over from that of the first."""

    order: int
    hooks: dict[int, list[Any]]
    stands_for: frozenset[int]
    inside: list[_Place]


class _Surroundings:
    """What a forward pass depends on or changes beside the weights: modes, buffers and hooks of the modules inside."""

    def __init__(self, module: Module) -> None:
        self.modules = [inner for _, inner in module.named_modules()]
        self.modes = [inner.training for inner in self.modules]
        self.buffers = [(array, array.copy()) for _, array in module.named_buffers()]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Put it back as it was, without hooks; afterwards everything is as before."""
        modes = [inner.training for inner in self.modules]
        buffers = [(array, array.copy()) for array, _ in self.buffers]
        hooks = [(inner, inner.__dict__.pop("_forward_hooks", None)) for inner in self.modules]
        try:
            self._set(self.modes, self.buffers)
            yield
        finally:
            self._set(modes, buffers)
            for inner, listeners in hooks:
                if listeners is not None:
                    inner.__dict__["_forward_hooks"] = listeners

    def _set(self, modes: list[bool], buffers: list[tuple[Array, Array]]) -> None:
        for inner, mode in zip(self.modules, modes, strict=True):
            inner.training = mode
        for array, values in buffers:
            array[...] = values


def _graph_since(start: int, y: Tensor) -> tuple[list[Function], tuple[Edge, ...]]:
    """The nodes behind y that were made after number `start`, oldest first, and the edges that lead out of them."""
    nodes: dict[int, Function] = {}
    outside: dict[tuple[int, int], Edge] = {}
    stack = [y.node] if y.node is not None and y.node.order > start else []
    while stack:
        node = stack.pop()
        if node.order in nodes:
            continue
        nodes[node.order] = node
        for edge in node.edges:
            if isinstance(edge, tuple) and edge[0].order > start:
                stack.append(edge[0])
            elif edge is not None:
                outside[order_of(edge), 0 if isinstance(edge, Tensor) else edge[1]] = edge
    return [nodes[order] for order in sorted(nodes)], tuple(outside.values())


def _sample_of(y: Array) -> bytes:
    """The bytes of some values, spread evenly; an odd distance meets every channel of an even number of them.

    None of them while a CUDA graph is captured, which cannot be asked for values: the eager step before it was.
    """
    if cuda.is_array(y) and cuda.capturing():
        return b""
    return on_host(y.reshape(-1)[:: y.size // SAMPLE | 1]).tobytes()
