"""Where the graph of a net parts and meets again: its residual blocks, found from the graph, not from class names.

    block      a tensor `start` whose ways to a sum (`add`, `add_relu`, `bn_add_relu`) all begin there
               and enter the sum by two doors: the shortcut, and the branch with at least one weighted layer
    shortcut   of the two the one with fewer weighted layers on its shortest way; then the one with fewer weights
    stream     the tensors that every way from the input to the loss passes through

Blocks may stand inside blocks, and the sum may be of any two shapes that broadcast. A sum of two sides that are alike
has no shortcut and is no block. Source for the picture of a net as its paths: Veit, Wilber, Belongie 2016, section 3.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from tinyres.errors import GradientError
from tinyres.flow.measures.trace import Step, Trace
from tinyres.nn.module import Parameter

MERGES = ("add", "add_relu", "bn_add_relu")


@dataclass(frozen=True, eq=False)
class Block:
    """A residual block of a traced net.

    Attributes
    ----------
    name : str
        Of the module that is this block, or what the names of its parameters begin with, or else ``"sum"``. The second
        block of a name is ``name#2``.
    depth : int
        Weighted layers up to its sum.
    start : int
        Order of the node, or of the input, whose result goes both ways.
    merge : int
        Order of the node that adds.
    shortcut, branch : int
        Positions among the inputs of the merge.
    beside, inside : frozenset of int
        Orders of the nodes on the shortcut and in the branch, without start and merge.
    parameters : tuple of Parameter
        Those of the branch, in the order in which they are used.
    """

    name: str
    depth: int
    start: int
    merge: int
    shortcut: int
    branch: int
    beside: frozenset[int]
    inside: frozenset[int]
    parameters: tuple[Parameter, ...]

    def side_of(self, source: int) -> str:
        """Where a part of the gradient at the start comes from, by its sender: "branch", "shortcut" or "elsewhere"."""
        if source in self.inside:
            return "branch"
        return "shortcut" if source == self.merge or source in self.beside else "elsewhere"


def find_blocks(made: Trace) -> list[Block]:
    """All residual blocks of a net, in the order in which they begin; none in a plain net."""
    names = {id(parameter): name for name, parameter in made.model.named_parameters()}
    found = []
    for order, step in made.steps.items():
        if step.node.name in MERGES and len(step.sources) == 2 and (block := _block(made, order, step, names)):
            found.append(block)
    times: Counter[str] = Counter()
    blocks = []
    for block in sorted(found, key=lambda block: (block.start, block.merge)):
        times[block.name] += 1
        again = times[block.name] > 1
        blocks.append(replace(block, name=f"{block.name}#{times[block.name]}") if again else block)
    return blocks


def some_blocks(made: Trace, what: str) -> list[Block]:
    """`find_blocks`, or a GradientError that says why `what` cannot be measured."""
    if blocks := find_blocks(made.whole(what)):
        return blocks
    raise GradientError(
        f"{what}: this {type(made.model).__name__} is plain, it has no shortcut around any layer; give a net whose "
        "blocks end in a sum."
    )


def find_stream(made: Trace) -> list[int]:
    """Orders of the tensors that everything passes through, from the input to the loss, first to last."""
    assert made.target.node is not None  # a trace has a target that depends on the input
    waiting = {made.target.node.order}
    stream = []
    while waiting:
        last = max(waiting)
        if len(waiting) == 1:
            stream.append(last)
        waiting.remove(last)
        if last in made.steps:
            waiting.update(made.steps[last].sources.values())
    return stream[::-1]


def find_places(made: Trace) -> list[int]:
    """Where to look at a net from the outside: one tensor of the stream a block, or a layer where there is no block.

    Orders, from the input to the loss: inputs and sums of blocks, and the results of those weighted layers that no
    block surrounds and after which none begins at the same depth. The logits are not among them.
    """
    stream = [order for order in find_stream(made) if order in made.steps]
    blocks = find_blocks(made)
    ends = {block.start for block in blocks} | {block.merge for block in blocks}
    covered = {made.depth_of(order) for order in ends}
    assert made.output.node is not None  # it depends on the input
    last = made.output.node.order
    layers = {order for order in stream if made.steps[order].weights and made.steps[order].depth not in covered}
    return [order for order in stream if order in (ends | layers) and order != last]


def _block(made: Trace, order: int, step: Step, names: dict[int, str]) -> Block | None:
    doors = list(step.sources)
    start = _meeting(made, set(step.sources.values()))
    if start is None:
        return None
    sides = {door: _between(made, start, step.sources[door]) for door in doors}
    keys = {door: _key(made, start, step.sources[door], sides[door]) for door in doors}
    shortcut, branch = sorted(doors, key=keys.__getitem__)
    inside = sides[branch]
    if keys[shortcut] == keys[branch] or not any(made.steps[each].weights for each in inside):
        return None
    used = dict.fromkeys(
        t for each in sorted({order, *inside}) for t in made.steps[each].inputs if isinstance(t, Parameter)
    )
    around = [call.name for call in made.calls if (call.start, call.end) == (start, order)]
    name = around[0] if around else _common([names[id(p)] for p in used if id(p) in names])
    return Block(name or "sum", step.depth, start, order, shortcut, branch, sides[shortcut], inside, tuple(used))


def _meeting(made: Trace, owners: set[int]) -> int | None:
    """Where the ways back from these nodes first are one; None if they never are, but end at two inputs."""
    waiting = set(owners)
    while len(waiting) > 1:
        last = max(waiting)
        waiting.remove(last)
        if last not in made.steps:
            return None
        waiting.update(made.steps[last].sources.values())
    return next(iter(waiting), None)


def _between(made: Trace, start: int, end: int) -> frozenset[int]:
    """Nodes on the ways back from `end`, included, to `start`, not included."""
    seen: set[int] = set()
    stack = [end]
    while stack:
        order = stack.pop()
        if order > start and order not in seen:
            seen.add(order)
            stack.extend(made.steps[order].sources.values())
    return frozenset(seen)


def _key(made: Trace, start: int, end: int, side: frozenset[int]) -> tuple[int, int, int]:
    """How little happens on a side: layers on the shortest way, weights, nodes."""
    layers = {start: 0}
    for order in sorted(side):
        step = made.steps[order]
        layers[order] = min(layers[source] for source in step.sources.values()) + (step.weights > 0)
    return layers[end], sum(made.steps[order].weights for order in side), len(side)


def _common(names: list[str]) -> str:
    """The dotted beginning that names of parameters share."""
    shared = []
    for parts in zip(*(name.split(".")[:-1] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)
