"""Reverse-mode differentiation: the pass back over the graph.

The pass visits each node once, latest made first: whatever uses a result was made after it, so by then its gradient is
whole. `passback` has the order in which nodes are visited; here is what a visit does: hooks, the node's derivative,
what it kept freed as soon as it has been used, and gradients added up in the leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tinyres.errors import DtypeError, GradientError, ShapeError
from tinyres.function import Edge, Function, edge_of, order_of, recording
from tinyres.kernels import registry
from tinyres.kernels.launch import Array, launch
from tinyres.passback import leading_to, reachable, walk_back
from tinyres.tensor import Tensor

Listener = Callable[[Function, Edge, Tensor], None]
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("tinyres_listeners", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener(source, edge, gradient)`` for each part of a gradient, before the parts are added up.

    A tensor that several ops use gets one part from each: `source` is the Function that sends it, `edge` where it goes.
    Hooks see only the sum. Several may listen, and may stop in any order.

    Examples
    --------
    >>> x = Tensor([3.0], requires_grad=True)
    >>> y = x * 2 + x
    >>> with listening(lambda source, edge, gradient: print(source.name, gradient.numpy()) if edge is x else None):
    ...     y.sum().backward()
    add [1.]
    mul [2.]
    """
    _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.set(tuple([other for other in _listeners.get() if other is not listener]))


@contextmanager
def unheard() -> Iterator[None]:
    """Let those who listen by now hear nothing of a `with` block."""
    token = _listeners.set(())
    try:
        yield
    finally:
        _listeners.reset(token)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> Any:
    """Gradients of outputs with respect to chosen tensors, without touching any `.grad`.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
        Inputs may be leaves or results inside the graph.
    grad_outputs : Tensor, ndarray or sequence of them, optional
        One cotangent an output; 1 for an output of a single value.
    create_graph : bool
        Record the backward pass too, so that the gradients can be differentiated. Implies `retain_graph`.
    retain_graph : bool
        Keep what the graph saved, so that it can be used again.

    Returns
    -------
    Tensor or None, or a tuple of them
        One for each input, in the form in which `inputs` came; None where no output depends on it.
    """
    single = isinstance(inputs, Tensor)
    sources = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    one = isinstance(outputs, Tensor) or grad_outputs is None or hasattr(grad_outputs, "shape")
    given = [grad_outputs] if one else list(grad_outputs)
    if len(given) == 1 < len(roots) and given[0] is None:
        given = [None] * len(roots)
    if len(given) != len(roots):
        raise GradientError(f"{len(roots)} outputs and {len(given)} cotangents; give one for each.")
    cotangents = [root.cotangent(g) for root, g in zip(roots, given, strict=True)]
    found = run_backward(
        roots, cotangents, sources=sources, create_graph=create_graph, retain_graph=retain_graph or create_graph
    )
    return found[0] if single else tuple(found)


def run_backward(
    roots: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    *,
    sources: Sequence[Tensor] | None = None,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> list[Tensor | None]:
    """The pass itself. With `sources` it returns their gradients, else it adds to `.grad` of the leaves."""
    wanted = None if sources is None else {_key(source) for source in sources}
    useful = None if wanted is None else _ancestors_of(roots, wanted)
    found: dict[tuple[int, int], Tensor] = {}
    listeners = _listeners.get()
    # parameters whose slot a node has written to; None where the gradients are not final, or somebody may keep them
    slots: set[int] | None = None if create_graph or wanted is not None or listeners else set()

    def visit(owner: Function | Tensor, gradients: list[Tensor | None]) -> list[tuple[Edge, Tensor]]:
        if owner.hooks:
            _call_hooks(owner, gradients)
        if wanted is not None:
            found.update(
                ((owner.order, i), g) for i, g in enumerate(gradients) if g is not None and (owner.order, i) in wanted
            )
        if isinstance(owner, Tensor):
            if wanted is None and gradients[0] is not None:
                _accumulate(owner, gradients[0])
            return []
        sent = _step_back(owner, gradients, useful, wanted, slots)
        for edge, gradient in sent:
            for listener in listeners:
                listener(owner, edge, gradient)
        if not retain_graph:
            owner.release()
        return sent

    with recording(create_graph):
        walk_back(zip(map(edge_of, roots), cotangents, strict=True), visit)
    return [] if sources is None else [found.get(_key(source)) for source in sources]


def _key(tensor: Tensor) -> tuple[int, int]:
    if not tensor.requires_grad:
        raise GradientError("a gradient was asked for with respect to a tensor that does not require one.")
    return (tensor.node.order, tensor.index) if tensor.node is not None else (tensor.order, 0)


def _ancestors_of(roots: Sequence[Tensor], wanted: set[tuple[int, int]]) -> set[int]:
    """Orders of the nodes and leaves through which the roots depend on what is wanted; the rest need no gradient."""
    orders = {order for order, _ in wanted}
    starts = [root.node for root in roots if root.node is not None]
    nodes = reachable(starts, lambda node: (edge[0] for edge in node.edges if isinstance(edge, tuple)))
    for node in nodes:
        if not node.edges and node.order > min(orders):  # it may have led there, before a pass freed it
            raise node.used_up()
    return leading_to(nodes, orders, _orders_behind)


def _orders_behind(node: Function) -> Iterator[int]:
    """Those of a node's inputs, and of what it stands for."""
    yield from (order_of(edge) for edge in node.edges if edge is not None)
    yield from node.stands_for


def _step_back(
    node: Function,
    gradients: list[Tensor | None],
    useful: set[int] | None,
    wanted: set[tuple[int, int]] | None,
    taken: set[int] | None,
) -> list[tuple[Edge, Tensor]]:
    """One node: its cotangents to those of its inputs, checked."""
    if useful is None and not node.edges:
        raise node.used_up()
    node.needs = tuple(edge is not None and (useful is None or order_of(edge) in useful) for edge in node.edges)
    if not any(node.needs) and (useful is None or useful.isdisjoint(node.stands_for)):
        return []
    with registry.restored(node.choices):
        if (unfolded := node.unfold()) is not None:
            return _go_on_to(unfolded, gradients, useful, wanted)
        node.recall()
        node.slots = tuple([None if taken is None else _slot(edge, taken) for edge in node.edges])
        returned = node.backward(*gradients)
        node.slots = ()  # for this pass only
    if "y" in node.keeps:
        del node.y
    inputs = returned if isinstance(returned, tuple) else (returned,)
    if len(inputs) != len(node.edges):
        raise GradientError(f"{node.name}.backward returned {len(inputs)} gradients for {len(node.edges)} inputs.")
    sent = []
    for position, (edge, gradient, needed) in enumerate(zip(node.edges, inputs, node.needs, strict=True)):
        if not needed or gradient is None or edge is None:
            continue
        like = node.shapes[position], node.dtypes[position]
        if not _fits(gradient, *like):
            raise _misfit(gradient, *like, f"{node.name}.backward returned for input {position}")
        sent.append((edge, gradient))
    return sent


def _slot(edge: Edge | None, taken: set[int]) -> Array | None:
    """Where the gradient of a parameter will be stored, if it has none yet and nobody was told the place before.

    A hook may keep the gradient that it is shown; the next pass writes to the slot, so a hook is never shown that.
    """
    if not isinstance(edge, Tensor) or edge.slot is None or edge.grad is not None or edge.order in taken or edge.hooks:
        return None
    taken.add(edge.order)
    return edge.slot


def _go_on_to(
    unfolded: Tensor, gradients: list[Tensor | None], useful: set[int] | None, wanted: set[tuple[int, int]] | None
) -> list[tuple[Edge, Tensor]]:
    """A node that stood for a graph: its cotangent goes on to the result of that graph, now that it is there."""
    if useful is not None and wanted is not None:
        useful |= _ancestors_of([unfolded], wanted)
    edge, gradient = edge_of(unfolded), gradients[0]
    assert edge is not None  # its first run depended on what requires a gradient
    assert gradient is not None  # it has one result, for whose sake it is visited
    return [(edge, gradient)]


def _fits(gradient: Any, shape: tuple[int, ...], dtype: Any) -> bool:
    return isinstance(gradient, Tensor) and gradient.shape == shape and gradient.dtype == dtype


def _misfit(gradient: Any, shape: tuple[int, ...], dtype: Any, what: str) -> GradientError | ShapeError | DtypeError:
    """The error for a gradient that does not fit."""
    if not isinstance(gradient, Tensor):
        return GradientError(f"{what} a {type(gradient).__name__}; a Tensor is wanted, made by ops.")
    if gradient.shape != shape:
        return ShapeError(f"{what} a gradient of shape {list(gradient.shape)}; {list(shape)} is wanted.")
    return DtypeError(f"{what} a gradient of {gradient.dtype}; {dtype} is wanted, types are never mixed.")


def _call_hooks(owner: Function | Tensor, gradients: list[Tensor | None]) -> None:
    hooks = {0: owner.hooks or []} if isinstance(owner, Tensor) else owner.hooks
    for index, listeners in hooks.items():
        for hook in list(listeners):
            gradient = gradients[index]
            if gradient is not None and (replacement := hook(gradient)) is not None:
                if not _fits(replacement, gradient.shape, gradient.dtype):
                    raise _misfit(replacement, gradient.shape, gradient.dtype, "a hook returned")
                gradients[index] = replacement


def _accumulate(leaf: Tensor, gradient: Tensor) -> None:
    """Add to the gradient of a leaf; that of a parameter is stored in its slot of the flat buffer."""
    if leaf.slot is None:
        # a copy: the same array may be on its way to other leaves, or be the caller's own cotangent
        leaf.grad = Tensor(gradient.data.copy()) if leaf.grad is None else leaf.grad + gradient
    elif leaf.grad is not None and leaf.grad.data is leaf.slot:
        launch("add", leaf.slot, gradient.data, out=leaf.slot)
    else:  # the first gradient, or one on top of a gradient that was set by hand
        whole = (gradient if leaf.grad is None else leaf.grad + gradient).data
        if whole is not leaf.slot:  # it may have been computed there
            leaf.slot[...] = whole
        leaf.grad = Tensor(leaf.slot)
