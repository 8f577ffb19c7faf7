"""One recorded step: what is seen on the way forward and back, as the row of a record.

    forward     each node as it is made: the graph, and the two summands of each sum while they are there
                each Module as it returns: statistics of its output, and a hook for the gradient of that
    backward    the hooks: statistics of gradients; parts of the gradient at a block's input, by where they come from
    afterwards  parameters before and after the update, and their gradients

A layer is a Module whose output no Module inside it has returned already, or a node with weights of its own outside of
any such Module. What is called again is another layer: `fc`, `fc#2`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tinyres.flow.measures.branches import Block
from tinyres.flow.record import MOMENTS, SPLIT, STATISTICS
from tinyres.flow.statistics import Parts, Summary, parts, summary
from tinyres.flow.wiring import Wiring
from tinyres.function import Edge, Function, edge_of
from tinyres.kernels.launch import Array
from tinyres.nn.module import Module
from tinyres.tensor import Tensor

Row = dict[str, Any]


@dataclass
class _Layer:
    name: str
    kind: str
    depth: int
    activation: Summary
    gradient: Summary | None = None


@dataclass
class _Split:
    """The gradient that arrives at the input of a block, in parts."""

    block: Block
    shortcut: Array | None = None
    branch: Array | None = None
    elsewhere: Array | None = None  # from uses of that input outside of the block
    seen: Parts | None = None
    total: float = math.nan


@dataclass
class _Pending:
    """A node with weights that no Module has returned yet."""

    tensor: Tensor
    name: str
    kind: str

    def held_by(self, module: str) -> bool:
        """Whether the module of this name holds its weights: then its output is the layer's."""
        return bool(module) and (not self.name or self.name.rpartition(".")[0] == module)


@dataclass
class Sample:
    """The measurements of one step."""

    model: Module
    closed: bool = False  # the pass has come to its end
    reached: bool = False  # and a gradient has come back
    batch: int | None = None
    layers: list[_Layer] = field(default_factory=list)
    splits: list[_Split] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wiring = Wiring(self.model)
        self.parameters = {name: p for name, p in self.model.named_parameters()}
        self._ours = {id(p) for p in self.parameters.values()}
        self._before: dict[str, Array] = {}
        self._seen: set[tuple[int, int]] = set()
        self._times: Counter[str] = Counter()
        self._sums: dict[int, Parts] = {}
        self._waiting: dict[int, list[_Split]] = {}
        self._pending: _Pending | None = None
        self._latest: tuple[Array, Summary] | None = None

    @property
    def begun(self) -> bool:
        """Whether the forward pass has made its first node."""
        return bool(self._before)

    def owns(self, inputs: tuple[Tensor, ...]) -> bool:
        """Whether a parameter of the model is among them."""
        return any(id(tensor) in self._ours for tensor in inputs)

    # ---- forward ---------------------------------------------------------------------------------------------------
    def node(self, node: Function, inputs: tuple[Tensor, ...], results: tuple[Tensor, ...]) -> None:
        """A node was made."""
        if not self._before:  # other nets may be at work too: this one's pass begins with its first parameter
            if not self.owns(inputs):
                return
            self._before = {name: p.data.copy() for name, p in self.parameters.items()}
        step = self.wiring.node(node, inputs, results[0])
        if step is None:
            return
        if node.stands_for:  # a recomputed block: its inner end has been seen already
            self._seen.add((node.order, 0))
        if step.weights:
            self._flush()
            self._pending = _Pending(results[0], step.name, node.name)
        if self.wiring.merges(step):
            a, b = (inputs[position].data for position in sorted(step.sources))
            if a.shape == b.shape:
                # bn_add_relu normalises its first input and adds in one go: that summand is never made
                scaled = _normalisation(node, inputs) if node.name == "bn_add_relu" else None
                self._sums[node.order] = parts(a, b, a, scaled)

    def called(self, name: str, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        """A Module returned."""
        self.wiring.called(name, module, inputs, output)
        if self._pending is not None and self._pending.held_by(name):
            self._pending = None
        tensors = [each for each in _members(output) if isinstance(each, Tensor)]
        for position, tensor in enumerate(tensors):
            edge = edge_of(tensor)
            if edge is None or isinstance(edge, Tensor) or (edge[0].order, edge[1]) in self._seen:
                continue
            self._flush()
            if (edge[0].order, edge[1]) not in self._seen:
                said = name or type(module).__name__
                self._layer(f"{said}[{position}]" if len(tensors) > 1 else said, type(module).__name__, tensor)
        if module is self.model and any(map(self.wiring.knows, tensors)):
            self._close(inputs)

    def _flush(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self._layer(pending.name.removesuffix(".weight") or pending.kind, pending.kind, pending.tensor)

    def _layer(self, name: str, kind: str, tensor: Tensor) -> None:
        assert tensor.node is not None  # it has an edge that is no leaf
        self._seen.add((tensor.node.order, tensor.index))
        self._times[name] += 1
        said = name if self._times[name] == 1 else f"{name}#{self._times[name]}"
        layer = _Layer(said, kind, self.wiring.depth(tensor.node.order), summary(tensor.data))
        self.layers.append(layer)

        def arrived(gradient: Tensor) -> None:
            self.reached = True
            layer.gradient = self._summary(gradient.data)

        tensor.register_hook(arrived)

    def _close(self, inputs: tuple[Any, ...]) -> None:
        self._flush()
        self.closed = True
        first = next((shape for each in _members(inputs) if (shape := getattr(each, "shape", ()))), None)
        self.batch = first[0] if first else None
        for block in self.wiring.blocks():
            split = _Split(block)
            self.splits.append(split)
            if block.start in self.wiring.hooks:  # else it is the data themselves, which have no gradient
                if block.start not in self._waiting:
                    self.wiring.hooks[block.start].setdefault(0, []).append(self._whole(block.start))
                self._waiting.setdefault(block.start, []).append(split)

    # ---- backward --------------------------------------------------------------------------------------------------
    def part(self, source: Function, edge: Edge, gradient: Tensor) -> None:
        """A part of a gradient was sent from a node along an edge."""
        if isinstance(edge, Tensor) or edge[1] or edge[0].order not in self._waiting:
            return
        for split in self._waiting[edge[0].order]:
            side = split.block.side_of(source.order)
            before = getattr(split, side)
            setattr(split, side, gradient.data if before is None else before + gradient.data)

    def _whole(self, start: int) -> Any:
        def arrived(gradient: Tensor) -> None:
            for split in self._waiting[start]:
                split.total = self._summary(gradient.data).norm
                if split.shortcut is not None and split.branch is not None:
                    whole = gradient.data if split.elsewhere is None else gradient.data - split.elsewhere
                    split.seen = parts(split.shortcut, split.branch, whole)
                split.shortcut = split.branch = split.elsewhere = None

        return arrived

    def _summary(self, gradient: Array) -> Summary:
        """The statistics of a gradient; hooks that hear of the same one come one after the other."""
        if self._latest is None or self._latest[0] is not gradient:
            self._latest = gradient, summary(gradient)
        return self._latest[1]

    # ---- afterwards ------------------------------------------------------------------------------------------------
    def row(self, updated: bool) -> Row:
        """The measurements, by the names of the record's arrays; `updated`: the weights have been changed by now."""
        row: Row = {}
        for of in ("activation", "gradient"):
            found = [getattr(layer, of) for layer in self.layers]
            more = MOMENTS if of == "activation" else ("nonfinite",)
            row |= {f"{of}_{name}": [_get(each, name) for each in found] for name in (*STATISTICS, *more)}
        before = [summary(array) for array in self._before.values()]
        grads = [p.grad if self.reached else None for p in self.parameters.values()]  # else they are of another step
        gradients = [summary(grad.data) if grad is not None else None for grad in grads]
        for name in STATISTICS:
            row[f"weight_{name}"] = [getattr(each, name) for each in before]
            row[f"weight_gradient_{name}"] = [_get(each, name) for each in gradients]
        moves = [
            summary(p.data - self._before[name]).norm if updated else math.nan for name, p in self.parameters.items()
        ]
        row["update_norm"] = moves
        row["update_ratio"] = [_ratio(move, each.norm) for move, each in zip(moves, before, strict=True)]
        for name, values in zip(("branch_std", "shortcut_std", "stream_std"), self._responses(), strict=True):
            row[name] = values
        for name, values in zip(SPLIT, self._gradients_at_blocks(), strict=True):
            row[name] = values
        return row

    def _responses(self) -> list[list[float]]:
        rows = []
        for split in self.splits:
            block, sums = split.block, self._sums.get(split.block.merge)
            if sums is None:
                rows.append([math.nan] * 3)
            elif block.branch < block.shortcut:
                rows.append([sums.std_a, sums.std_b, sums.std_sum])
            else:
                rows.append([sums.std_b, sums.std_a, sums.std_sum])
        return _columns(rows, 3)

    def _gradients_at_blocks(self) -> list[list[float]]:
        rows = []
        for split in self.splits:
            seen = split.seen
            if seen is None:
                rows.append([math.nan, math.nan, split.total, math.nan, math.nan])
            else:
                error = _ratio(seen.gap, split.total)
                rows.append([seen.norm_a, seen.norm_b, split.total, seen.cosine, error])
        return _columns(rows, 5)


def _normalisation(node: Function, inputs: tuple[Tensor, ...]) -> tuple[Array, Array]:
    """Factor and shift of each channel that the batch norm in a node applied to its first input."""
    mean, variance, eps = (getattr(node, name) for name in ("mean", "variance", "eps"))
    gamma, beta = (tensor.data.astype("float64") for tensor in inputs[1:3])
    factor = gamma / (variance.astype("float64") + eps) ** 0.5
    return factor, beta - mean.astype("float64") * factor


def _members(value: Any) -> Iterator[Any]:
    """What a Module takes or returns, one by one: itself, or what a tuple, list or dict holds."""
    if isinstance(value, (tuple, list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _members(each)
    else:
        yield value


def _get(found: Summary | None, name: str) -> float:
    return math.nan if found is None else float(getattr(found, name))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _columns(rows: list[list[float]], count: int) -> list[list[float]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(count)]
