"""The units that a lesion study takes out: residual blocks, or in a plain net the modules that are stacked.

    residual block    removed: its branch adds 0, by zeros in the last trained layer of the branch; the shortcut stays
    plain unit        removed: the identity takes its place, or option A's shortcut where the image is halved

What is written to is put back when the `with` block ends, also after an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinyres.errors import ConfigError
from tinyres.flow.measures.branches import Block, find_blocks
from tinyres.flow.measures.trace import Call, Trace
from tinyres.kernels.launch import Array
from tinyres.nn.layers import Sequential
from tinyres.nn.module import Module, Parameter, as_input
from tinyres.ops import pad_shortcut
from tinyres.tensor import Tensor

SILENCED = ("batch_norm", "batch_norm_eval", "bn_relu", "linear", "conv2d", "matmul", "mul")  # 0 with zero parameters
ZERO_TO_ZERO = [
    "add",
    "add_relu",
    "relu",
    "mul",
    "div",
    "neg",
    "reshape",
    "transpose",
    "getitem",
    "dropout",
    "pad_shortcut",
    "max_pool2d",
    "global_avg_pool",
    "sum",
    "mean",
    "broadcast_to",
    "concat",
    "tanh",
]


@dataclass(frozen=True, eq=False)
class Unit:
    """Something that can be taken out of a net.

    Attributes
    ----------
    name : str
    depth : int
        Weighted layers up to its end.
    changes_shape : bool
        Its output is not of the shape of its input.
    arrays : tuple of ndarray
        What makes it this unit and no other: its parameters and running averages, those of a projection on its
        shortcut among them, in a fixed order.
    silenced : tuple of Parameter
        Zeros here remove a residual block; empty for a plain unit.
    module : Module or None
        What the identity takes the place of, for a plain unit.
    shape : tuple of int
        Of its output.
    """

    name: str
    depth: int
    changes_shape: bool
    arrays: tuple[Array, ...]
    silenced: tuple[Parameter, ...]
    module: Module | None
    shape: tuple[int, ...]

    @property
    def stage(self) -> tuple[Any, ...]:
        """Equal for units that could change places."""
        return self.changes_shape, self.shape[1:], tuple(array.shape for array in self.arrays)

    @contextmanager
    def removed(self) -> Iterator[None]:
        """Take it out inside a `with` block."""
        before = [(parameter, parameter.data.copy()) for parameter in self.silenced]
        try:
            for parameter in self.silenced:
                parameter.data[...] = 0
            if self.module is not None:
                vars(self.module)["forward"] = partial(_instead, self.shape)
            yield
        finally:
            for parameter, values in before:
                parameter.data[...] = values
            if self.module is not None:
                del vars(self.module)["forward"]


def find_units(made: Trace) -> list[Unit]:
    """Residual blocks of a net traced in evaluation mode; in a plain net, its stacked modules with weights.

    Raises
    ------
    ConfigError
        There is nothing that could be taken out, or a block cannot be taken out alone.
    """
    blocks = find_blocks(made)
    units = [_residual(made, block) for block in blocks] if blocks else _plain(made)
    if not units:
        hidden = " (it recomputes its blocks and so hides them; use recompute=False)" if made.recomputed() else ""
        raise ConfigError(
            f"this {type(made.model).__name__} has no residual block and no stack of modules that could do without "
            f"one{hidden}; a Sequential of units is wanted."
        )
    return units


def _residual(made: Trace, block: Block) -> Unit:
    end, start = made.result(block.merge), made.result(block.start)
    silenced = tuple(dict.fromkeys(_silence(made, block, made.steps[block.merge].sources[block.branch])))
    inside = {*block.inside, block.merge}
    elsewhere = [step for order, step in made.steps.items() if order not in inside]
    for step in elsewhere:
        if any(tensor is parameter for tensor in step.inputs for parameter in silenced):
            raise ConfigError(f"block {block.name} shares its weights with {step.name}; it cannot be taken out alone.")
    beside = [t for order in sorted(block.beside) for t in made.steps[order].inputs if isinstance(t, Parameter)]
    arrays = _arrays(made.model, list(dict.fromkeys([*block.parameters, *beside])))
    return Unit(block.name, block.depth, end.shape != start.shape, arrays, silenced, None, end.shape)


def _silence(made: Trace, block: Block, order: int) -> list[Parameter]:
    """Parameters that, set to 0, make the result of this node of a branch 0."""
    if order not in block.inside:
        raise ConfigError(f"block {block.name} cannot be silenced: its branch holds the shortcut's own values.")
    step = made.steps[order]
    own = [tensor for tensor in step.inputs if isinstance(tensor, Parameter)]
    op = step.node.name
    if own and op in SILENCED:
        return own
    if op not in ZERO_TO_ZERO:
        raise ConfigError(f"block {block.name} cannot be silenced: its branch ends in {op}, which never gives 0.")
    sources = list(step.sources.values())
    if op == "mul" and len(sources) == 2:  # one factor is enough
        try:
            return _silence(made, block, sources[0])
        except ConfigError:
            return _silence(made, block, sources[1])
    return own + [parameter for source in sources for parameter in _silence(made, block, source)]


def _plain(made: Trace) -> list[Unit]:
    """The outermost modules with weights that stand in a Sequential with others and could be an identity."""
    parents = {f"{name}." if name else "": module for name, module in made.model.named_modules()}
    taken: list[Call] = []
    for call in sorted(made.calls, key=lambda call: call.name.count(".")):
        parent = parents.get(call.name[: call.name.rfind(".") + 1])
        stacked = isinstance(parent, Sequential) and len(parent) > 1 and call.module.parameters()
        inner = any(call.name.startswith(other.name + ".") or call.module is other.module for other in taken)
        if stacked and not inner and _replaceable(made.result(call.start).shape, made.result(call.end).shape):
            taken.append(call)
    return [_plain_unit(made, call) for call in sorted(taken, key=lambda call: call.end)]


def _plain_unit(made: Trace, call: Call) -> Unit:
    shape, arrays = made.result(call.end).shape, _arrays(made.model, call.module.parameters())
    changes = shape != made.result(call.start).shape
    return Unit(call.name, made.depth_of(call.end), changes, arrays, (), call.module, shape)


def _replaceable(start: tuple[int, ...], end: tuple[int, ...]) -> bool:
    if start == end:
        return True
    return len(start) == len(end) == 4 and end[3] >= start[3] and -(-start[1] // _stride(start, end)) == end[1]


def _stride(start: tuple[int, ...], end: tuple[int, ...]) -> int:
    return max(1, round(start[1] / end[1]))


def _instead(shape: tuple[int, ...], x: Any) -> Tensor:
    """What stands where a plain unit was: x, or every second pixel of it with zeros for the new channels."""
    x = as_input(x)
    return x if x.shape[1:] == shape[1:] else pad_shortcut(x, shape[3], _stride(x.shape, shape))


def _arrays(model: Module, parameters: list[Parameter]) -> tuple[Array, ...]:
    """Parameters, and the buffers of the modules that hold them."""
    ids = {id(parameter) for parameter in parameters}
    owners = [m for _, m in model.named_modules() if any(id(value) in ids for value in vars(m).values())]
    return (*(p.data for p in parameters), *(getattr(owner, name) for owner in owners for name in owner.buffers))
