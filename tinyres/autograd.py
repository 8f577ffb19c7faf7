"""Reverse-mode differentiation: the node of the graph, the one function that makes nodes, and the pass back over them.

A `Function` is one application of an op. `forward` sees arrays, calls the kernel of its op and returns arrays; `backward`
receives the cotangents of the results as Tensors and returns those of the inputs, computed by other ops. So a derivative
runs on the same kernels, and when a graph of it is asked for it can be differentiated again.

The pass visits each node once, latest made first: whatever uses a result was made after it, so by then its gradient is
whole. (Walking from a node into its inputs instead would take 2^n paths through n shortcuts.) It is a loop over a heap, not
a recursion, so depth costs nothing, and what a node kept is freed as soon as it has been used.
"""

from __future__ import annotations

import heapq
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from tinyres.errors import GradientError, ShapeError
from tinyres.kernels import registry
from tinyres.kernels.launch import Array, launch
from tinyres.tensor import Tensor, as_tensor, creation

_recording: ContextVar[bool] = ContextVar("tinyres_recording", default=True)

Gradients = Tensor | None | tuple[Tensor | None, ...]


@contextmanager
def recording(mode: bool) -> Iterator[None]:
    """Record a graph, or do not, inside a `with` block."""
    token = _recording.set(mode)
    try:
        yield
    finally:
        _recording.reset(token)


def no_grad() -> Any:
    """Compute without recording a graph, inside a `with` block: faster, and nothing is kept for a backward pass."""
    return recording(False)


class Function:
    """One application of an op: a node of the graph. Subclass it to add an op.

    Class attributes
    ----------------
    op : str
        The entry of the kernel table that `self.kernel` launches.
    keeps : tuple of str
        Which arguments of `forward`, by name, and which results (`"y"` the first), `backward` wants as Tensors.
    saves : tuple of str
        Which arrays `forward` leaves on `self` for `backward`, to be freed with the rest.

    In `backward`, `self.needs` says for each input whether its gradient is wanted; None may stand for one that is not.
    Where a Function has several results, the cotangent of one that nothing used is None.
    """

    op: ClassVar[str] = ""
    keeps: ClassVar[tuple[str, ...]] = ()
    saves: ClassVar[tuple[str, ...]] = ()
    _arguments: ClassVar[tuple[str, ...]] = ()

    order: int
    edges: tuple[Tensor | tuple[Function, int] | None, ...]
    needs: tuple[bool, ...]
    shapes: tuple[tuple[int, ...], ...]
    choices: registry.Choices
    hooks: dict[int, list[Any]]
    results: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._arguments = tuple(inspect.signature(cls.forward).parameters)[1:]

    @property
    def name(self) -> str:
        """How messages call this node."""
        return self.op or type(self).__name__

    def kernel(self, *arrays: Array, **params: Any) -> Any:
        """Run the kernel chosen for this op."""
        return launch(self.op, *arrays, **params)

    def forward(self, *arrays: Array) -> Array | tuple[Array, ...]:
        """Arrays to the result, or to a tuple of results."""
        raise GradientError(f"{type(self).__name__} has no forward; write one.")

    def backward(self, *cotangents: Tensor) -> Gradients:
        """Cotangents of the results to those of the inputs, by ops."""
        raise GradientError(f"{self.name} has no derivative.")

    def __getattr__(self, name: str) -> Any:
        if name in self.keeps or name in self.saves:
            raise self._used_up()
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def _used_up(self) -> GradientError:
        return GradientError(
            f"{self.name}: what was kept for backward is gone, because backward already ran over this graph; "
            "pass retain_graph=True to the first run."
        )

    def _record(self, inputs: tuple[Tensor, ...], outputs: tuple[Array, ...]) -> None:
        self.order = next(creation)
        self.edges = tuple(_edge(t) for t in inputs)
        self.needs = tuple(edge is not None for edge in self.edges)
        self.shapes = tuple(t.shape for t in inputs)
        self.choices = registry.in_force()
        self.hooks = {}
        self.results = len(outputs)
        kept = dict(zip(self._arguments, inputs, strict=False)) | {"y": outputs[0]}
        for name in self.keeps:
            setattr(self, name if name != "y" else "_y", kept[name])

    def _recall(self) -> None:
        """Make the kept result a Tensor again; holding it all along would be a cycle."""
        if "y" in self.keeps:
            self.y = _result(self._y, self, 0)

    def _release(self) -> None:
        """Drop what was kept and the way to the inputs."""
        for name in (*self.keeps, *self.saves, "_y"):
            self.__dict__.pop(name, None)
        self.edges = ()


def _edge(tensor: Tensor) -> Tensor | tuple[Function, int] | None:
    """Where the gradient of an input goes: to a result of a node, to a leaf, or nowhere."""
    if not tensor.requires_grad:
        return None
    return (tensor.node, tensor.index) if tensor.node is not None else tensor


def _order(edge: Tensor | tuple[Function, int]) -> int:
    return edge.order if isinstance(edge, Tensor) else edge[0].order


def _result(array: Array, node: Function, index: int) -> Tensor:
    tensor = Tensor(array)
    tensor.requires_grad, tensor.node, tensor.index = True, node, index
    return tensor


def apply(function: Function, *inputs: Any) -> Any:
    """Run a Function on tensors; the one place where nodes of the graph are made.

    Parameters
    ----------
    function : Function
        A fresh instance that holds the parameters of this application.
    *inputs : Tensor or array_like

    Returns
    -------
    Tensor or tuple of Tensor
    """
    tensors = tuple(as_tensor(value) for value in inputs)
    outputs = function.forward(*(t.data for t in tensors))
    results = outputs if isinstance(outputs, tuple) else (outputs,)
    if _recording.get() and any(t.requires_grad for t in tensors):
        function._record(tensors, results)
        made = tuple(_result(array, function, index) for index, array in enumerate(results))
    else:
        made = tuple(Tensor(array) for array in results)
    return made if isinstance(outputs, tuple) else made[0]


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
    given = [grad_outputs] if isinstance(outputs, Tensor) or grad_outputs is None else list(grad_outputs)
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
    pending: dict[int, list[Tensor | None]] = {}  # order of a node or leaf -> gradients of its results
    heap: list[tuple[int, Function | Tensor]] = []
    found: dict[tuple[int, int], Tensor] = {}

    def send(edge: Tensor | tuple[Function, int], gradient: Tensor) -> None:
        owner, index = (edge, 0) if isinstance(edge, Tensor) else edge
        waiting = pending.get(owner.order)
        if waiting is None:
            waiting = pending[owner.order] = [None] * (1 if isinstance(owner, Tensor) else owner.results)
            heapq.heappush(heap, (-owner.order, owner))
        before = waiting[index]
        waiting[index] = gradient if before is None else before + gradient

    with recording(create_graph):
        for root, cotangent in zip(roots, cotangents, strict=True):
            edge = _edge(root)
            assert edge is not None  # cotangent() has checked it
            send(edge, cotangent)
        while heap:
            _, owner = heapq.heappop(heap)
            gradients = pending.pop(owner.order)
            _call_hooks(owner, gradients)
            if wanted is not None:
                found |= {
                    (owner.order, i): g for i, g in enumerate(gradients) if g is not None and (owner.order, i) in wanted
                }
            if isinstance(owner, Tensor):
                if wanted is None and gradients[0] is not None:
                    _accumulate(owner, gradients[0])
                continue
            for edge, gradient in _step_back(owner, gradients, useful, create_graph):
                send(edge, gradient)
            if not retain_graph:
                owner._release()
    return [] if sources is None else [found.get(_key(source)) for source in sources]


def _key(tensor: Tensor) -> tuple[int, int]:
    if not tensor.requires_grad:
        raise GradientError("a gradient was asked for with respect to a tensor that does not require one.")
    return (tensor.node.order, tensor.index) if tensor.node is not None else (tensor.order, 0)


def _ancestors_of(roots: Sequence[Tensor], wanted: set[tuple[int, int]]) -> set[int]:
    """Orders of the nodes and leaves through which the roots depend on what is wanted; the rest need no gradient."""
    orders = {order for order, _ in wanted}
    nodes: dict[int, Function] = {}
    stack = [root.node for root in roots if root.node is not None]
    while stack:
        node = stack.pop()
        if node.order not in nodes:
            nodes[node.order] = node
            stack.extend(edge[0] for edge in node.edges if isinstance(edge, tuple))
    useful = set(orders)
    for order in sorted(nodes):  # inputs were made before what uses them
        edges = nodes[order].edges
        if any(_order(edge) in useful for edge in edges if edge is not None):
            useful.add(order)
    return useful


def _step_back(
    node: Function, gradients: list[Tensor | None], useful: set[int] | None, create_graph: bool
) -> list[tuple[Tensor | tuple[Function, int], Tensor]]:
    """One node: its cotangents to those of its inputs, checked."""
    if not node.edges:
        raise node._used_up()
    node.needs = tuple(edge is not None and (useful is None or _order(edge) in useful) for edge in node.edges)
    if not any(node.needs):
        return []
    with registry.restored(node.choices):
        node._recall()
        returned = node.backward(*gradients)  # type: ignore[arg-type]
    if "y" in node.keeps:
        del node.y
    inputs = returned if isinstance(returned, tuple) else (returned,)
    if len(inputs) != len(node.edges):
        raise GradientError(f"{node.name}.backward returned {len(inputs)} gradients for {len(node.edges)} inputs.")
    sent = []
    for position, (edge, gradient, needed) in enumerate(zip(node.edges, inputs, node.needs, strict=True)):
        if not needed or gradient is None or edge is None:
            continue
        if gradient.shape != node.shapes[position]:
            raise ShapeError(
                f"{node.name}.backward returned a gradient of shape {list(gradient.shape)} "
                f"for input {position} of shape {list(node.shapes[position])}."
            )
        sent.append((edge, gradient))
    return sent


def _call_hooks(owner: Function | Tensor, gradients: list[Tensor | None]) -> None:
    hooks = {0: owner.hooks or []} if isinstance(owner, Tensor) else owner.hooks
    for index, listeners in hooks.items():
        for hook in list(listeners):
            gradient = gradients[index]
            if gradient is not None and (replacement := hook(gradient)) is not None:
                gradients[index] = replacement


def _accumulate(leaf: Tensor, gradient: Tensor) -> None:
    """Add to the gradient of a leaf; that of a parameter is stored in its slot of the flat buffer."""
    if leaf.slot is None:
        leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
    elif leaf.grad is None:
        leaf.slot[...] = gradient.data
        leaf.grad = Tensor(leaf.slot)
    else:
        launch("add", leaf.slot, gradient.data, out=leaf.slot)
