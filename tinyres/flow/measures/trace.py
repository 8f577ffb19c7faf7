"""One forward pass written down: every node of the graph between the input and the loss, with what went in and out.

    depth of a node = number of weighted layers on the longest way from the input to it, itself included

A weighted layer is a node that multiplies the data with a matrix or with filters: it has an input with two axes or
more that is trained and does not come from the data. Names are those of its parameter's module. Nothing here knows
a class of layer or of block, so nets that somebody else wrote are read like those of `tinyres.models`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinyres.errors import DtypeError, GradientError, ShapeError
from tinyres.function import Function, edge_of, order_of, recording, watching
from tinyres.nn.module import Module
from tinyres.ops import mul, softmax_cross_entropy
from tinyres.ops import sum as sum_of
from tinyres.tensor import Tensor


class Step(NamedTuple):
    """One node of the graph that depends on the input.

    Attributes
    ----------
    node : Function
    inputs, results : tuple of Tensor
    sources : dict of int to int
        For each position among the inputs that depends on the data: the order of the node (or the input) it is from.
    weights : int
        Trained values that this layer multiplies with; 0 for a node that is no weighted layer.
    depth : int
    name : str
        Of the layer, such as ``"layer1.0.conv1"``; of the op where there are no weights.
    """

    node: Function
    inputs: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    sources: dict[int, int]
    weights: int
    depth: int
    name: str


class Call(NamedTuple):
    """A module that was called with one tensor of the data and gave one: orders of where they come from."""

    name: str
    module: Module
    start: int
    end: int


@dataclass(eq=False)
class Trace:
    """What a forward pass did.

    Attributes
    ----------
    x : Tensor
        The input, a leaf that requires a gradient.
    output, target : Tensor
        What the model returned, and the loss (or the sum of output times cotangent, or the output again).
    steps : dict of int to Step
        By the order in which the nodes were made.
    calls : list of Call
        In the order in which the modules returned.
    """

    model: Module
    x: Tensor
    output: Tensor = field(init=False)
    target: Tensor = field(init=False)
    steps: dict[int, Step] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def depth_of(self, order: int) -> int:
        """Depth of a node, 0 for the input."""
        return self.steps[order].depth if order in self.steps else 0

    def result(self, order: int) -> Tensor:
        """The first result of a node, or the input."""
        return self.steps[order].results[0] if order in self.steps else self.x

    def layer_of(self, order: int) -> str:
        """Name of the last weighted layer up to a node; "input" before the first."""
        while order in self.steps and not self.steps[order].weights:
            order = max(self.steps[order].sources.values(), key=lambda source: (self.depth_of(source), source))
        return self.steps[order].name if order in self.steps else "input"

    def recomputed(self) -> bool:
        """Whether blocks are hidden inside nodes that keep nothing."""
        return any(step.node.stands_for for step in self.steps.values())

    def whole(self, what: str) -> Trace:
        """Return the trace; a GradientError that says why `what` cannot be measured if blocks are hidden in it."""
        if self.recomputed():
            name = type(self.model).__name__
            raise GradientError(f"{what}: this {name} recomputes its blocks and so hides them; use recompute=False.")
        return self


def trace(model: Module, x: Any, labels: Any) -> Trace:
    """Run a model on a batch and write down what it does, in the mode in which it is.

    Parameters
    ----------
    model : Module
        Takes one floating array. Its running averages are updated if it is in training mode: see `state.unchanged`.
    x : ndarray, shape [N, ...]
    labels : ndarray or None
        Classes [N], for the loss: mean cross-entropy over the batch. Or a cotangent of the output's shape and type. Or
        None, where no gradient is wanted.

    Returns
    -------
    Trace

    Raises
    ------
    ShapeError
        An empty batch, or labels that fit neither way.
    DtypeError
        An input of integers, which has no gradient.
    GradientError
        A model whose output does not depend on its input or is not one tensor.
    """
    data = x.data if isinstance(x, Tensor) else x
    if not len(data):
        raise ShapeError(f"the batch has shape {list(data.shape)} and holds no example; give one or more.")
    if data.dtype.kind != "f":
        raise DtypeError(f"the batch is {data.dtype}; gradients want a floating type, such as that of the parameters.")
    made = Trace(model, Tensor(data, requires_grad=True))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    removals = [
        module.register_forward_hook(partial(_called, made.calls, name)) for name, module in model.named_modules()
    ]
    try:
        with recording(True), watching(partial(_made, made, names)), np.errstate(all="ignore"):
            made.output = model(made.x)
            if (
                not isinstance(made.output, Tensor)
                or made.output.node is None
                or made.output.node.order not in made.steps
            ):
                raise GradientError(f"{type(model).__name__} gave no tensor that depends on its input.")
            made.target = _target(made.output, labels)
    finally:
        for remove in removals:
            remove()
    _keep_ancestors(made)
    return made


def _target(output: Tensor, labels: Any) -> Tensor:
    if labels is None:
        return output
    labels = labels.data if isinstance(labels, Tensor) else np.asarray(labels) if isinstance(labels, list) else labels
    if labels.dtype.kind in "iu":
        return softmax_cross_entropy(output, labels)
    if labels.shape != output.shape or labels.dtype != output.dtype:
        raise ShapeError(
            f"labels are {labels.dtype} {list(labels.shape)}; integer classes [{output.shape[0]}] are wanted, or a "
            f"cotangent {output.dtype} {list(output.shape)} of the output."
        )
    return sum_of(mul(output, Tensor(labels)))


def _made(
    made: Trace, names: dict[int, str], node: Function, inputs: tuple[Tensor, ...], results: tuple[Tensor, ...]
) -> None:
    known = made.steps
    sources: dict[int, int] = {}
    weights, name = 0, node.name
    for position, tensor in enumerate(inputs):
        edge = edge_of(tensor)
        if edge is None:
            continue
        order = order_of(edge)
        if order in known or edge is made.x:
            sources[position] = order
        elif tensor.ndim > 1:
            weights += tensor.size
            name = names.get(id(tensor), name).removesuffix(".weight")
    if sources:
        depth = max(made.depth_of(order) for order in sources.values()) + (weights > 0)
        known[node.order] = Step(node, inputs, results, sources, weights, depth, name)


def _called(calls: list[Call], name: str, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
    if isinstance(output, Tensor) and inputs and isinstance(inputs[0], Tensor):
        start, end = edge_of(inputs[0]), edge_of(output)
        if start is not None and end is not None:
            calls.append(Call(name, module, order_of(start), order_of(end)))


def _keep_ancestors(made: Trace) -> None:
    """Forget the nodes that the target does not depend on."""
    assert made.target.node is not None  # it requires a gradient
    wanted, stack = set(), [made.target.node.order]
    while stack:
        order = stack.pop()
        if order in made.steps and order not in wanted:
            wanted.add(order)
            stack.extend(made.steps[order].sources.values())
    made.steps = {order: step for order, step in made.steps.items() if order in wanted}
