"""Function: one application of an op, and the one function that makes nodes of the graph.

`forward` sees arrays, calls the kernel of its op and returns arrays; `backward` receives the cotangents of the
results as Tensors and returns those of the inputs, computed by other ops. So a derivative runs on the same kernels,
and where a graph of it is asked for it can be differentiated again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from tinyres.errors import GradientError
from tinyres.kernels import registry
from tinyres.kernels.launch import Array, launch
from tinyres.tensor import Tensor, as_tensor, creation

_recording: ContextVar[bool] = ContextVar("tinyres_recording", default=True)

Edge = Tensor | tuple["Function", int]
Gradients = Tensor | None | tuple[Tensor | None, ...]
Watcher = Callable[["Function", tuple[Tensor, ...], tuple[Tensor, ...]], None]
_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("tinyres_watchers", default=())


@contextmanager
def recording(mode: bool) -> Iterator[None]:
    """Record a graph, or do not, inside a `with` block."""
    token = _recording.set(mode)
    try:
        yield
    finally:
        _recording.reset(token)


def is_recording() -> bool:
    """Whether a graph is being recorded."""
    return _recording.get()


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Call ``watcher(node, inputs, results)`` for each node of the graph as it is made, inside a `with` block.

    Several may watch, and may stop in any order.

    Examples
    --------
    >>> from tinyres import ops
    >>> with watching(lambda node, inputs, results: print(node.name, results[0].numpy())):
    ...     y = ops.relu(Tensor([-1.0, 2.0], requires_grad=True) * 3)
    mul [-3.  6.]
    relu [0. 6.]
    """
    _watchers.set((*_watchers.get(), watcher))
    try:
        yield
    finally:
        _watchers.set(tuple([other for other in _watchers.get() if other is not watcher]))


@contextmanager
def unwatched() -> Iterator[None]:
    """Let those who watch by now see nothing of a `with` block."""
    token = _watchers.set(())
    try:
        yield
    finally:
        _watchers.reset(token)


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
    `self.slot(i)` is the place where the gradient of input i, a parameter, will be stored, or None: a backward that can
    write there (`out` of the Function it applies) spares a copy.
    Where a Function has several results, the cotangent of one that nothing used is None.

    A Function that kept nothing of a graph inside it has `unfold` instead of `backward`: it makes that graph again,
    whose result then receives the cotangent; `stands_for` are the orders of the nodes in there.
    """

    op: ClassVar[str] = ""
    keeps: ClassVar[tuple[str, ...]] = ()
    saves: ClassVar[tuple[str, ...]] = ()
    _arguments: ClassVar[tuple[str, ...]] = ()

    order: int
    edges: tuple[Edge | None, ...]
    needs: tuple[bool, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]
    choices: registry.Choices
    hooks: dict[int, list[Any]]
    results: int
    stands_for: frozenset[int] = frozenset()
    slots: tuple[Array | None, ...] = ()
    out: Array | tuple[Array | None, ...] | None = None  # where the kernel is to write its results, see `launch`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._arguments = tuple(inspect.signature(cls.forward).parameters)[1:]

    @property
    def name(self) -> str:
        """How messages call this node."""
        return self.op or type(self).__name__

    def kernel(self, *arrays: Array, **params: Any) -> Any:
        """Run the kernel chosen for this op."""
        return launch(self.op, *arrays, out=self.out, **params)

    def slot(self, position: int) -> Array | None:
        """Where the gradient of that input will be stored, for `out`; None where it is nowhere yet."""
        return self.slots[position] if self.slots else None

    def forward(self, *arrays: Any, **_: Any) -> Array | tuple[Array, ...]:
        """Arrays to the result, or to a tuple of results."""
        raise GradientError(f"{type(self).__name__} has no forward; write one.")

    def backward(self, *cotangents: Any, **_: Any) -> Gradients:
        """Cotangents of the results to those of the inputs, by ops."""
        raise GradientError(f"{self.name} has no derivative.")

    def unfold(self) -> Tensor | None:
        """The result once more, with the graph behind it; None for a Function that has a `backward`."""
        return None

    def __getattr__(self, name: str) -> Any:
        if name in self.keeps or name in self.saves:
            raise self.used_up()
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def used_up(self) -> GradientError:
        """The error for a second backward pass over a graph that the first has freed."""
        return GradientError(
            f"{self.name}: what was kept for backward is gone, because backward already ran over this graph; "
            "pass retain_graph=True to the first run."
        )

    def _record(self, inputs: tuple[Tensor, ...], outputs: tuple[Array, ...]) -> None:
        if "edges" in vars(self):
            raise GradientError(f"{self.name}: this Function was applied before; make a new one for each application.")
        self.order = next(creation)
        self.edges = tuple([edge_of(t) for t in inputs])
        self.needs = tuple([edge is not None for edge in self.edges])
        self.shapes = tuple([t.data.shape for t in inputs])
        self.dtypes = tuple([t.data.dtype for t in inputs])
        self.choices = registry.in_force()
        self.hooks = {}
        self.results = len(outputs)
        kept = dict(zip(self._arguments, inputs, strict=False)) | {"y": outputs[0]}
        for name in self.keeps:
            if name not in kept:
                raise GradientError(
                    f"{self.name} keeps {name!r}, which is neither an argument of its forward "
                    f"({', '.join(self._arguments)}) nor 'y', its result."
                )
            setattr(self, name if name != "y" else "_y", kept[name])

    def recall(self) -> None:
        """Make the kept result a Tensor again; holding it all along would be a cycle."""
        if "y" in self.keeps:
            self.y = _result(self._y, self, 0)

    def release(self) -> None:
        """Drop what was kept and the way to the inputs."""
        for name in (*self.keeps, *self.saves, "_y"):
            self.__dict__.pop(name, None)
        self.edges = ()


def edge_of(tensor: Tensor) -> Edge | None:
    """Where the gradient of an input goes: to a result of a node, to a leaf, or nowhere."""
    if not tensor.requires_grad:
        return None
    return (tensor.node, tensor.index) if tensor.node is not None else tensor


def order_of(edge: Edge) -> int:
    """When the node or leaf at its end was made."""
    return edge.order if isinstance(edge, Tensor) else edge[0].order


def _result(array: Array, node: Function, index: int) -> Tensor:
    tensor = Tensor(array)
    tensor.requires_grad, tensor.node, tensor.index = True, node, index
    return tensor


def apply_all(function: Function, *inputs: Any) -> tuple[Tensor, ...]:
    """Run a Function on tensors; the one place where nodes of the graph are made.

    Parameters
    ----------
    function : Function
        A fresh instance that holds the parameters of this application.
    *inputs : Tensor or array_like

    Returns
    -------
    tuple of Tensor
        Its results, one or more.
    """
    tensors = tuple([as_tensor(value) for value in inputs])
    outputs = function.forward(*[t.data for t in tensors])
    results = outputs if isinstance(outputs, tuple) else (outputs,)
    if _recording.get() and any([t.requires_grad for t in tensors]):
        function._record(tensors, results)
        made = tuple([_result(array, function, index) for index, array in enumerate(results)])
        for watcher in _watchers.get():
            watcher(function, tensors, made)
        return made
    return tuple([Tensor(array) for array in results])


def apply(function: Function, *inputs: Any) -> Tensor:
    """`apply_all` for a Function of one result."""
    return apply_all(function, *inputs)[0]
