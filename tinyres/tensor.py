"""Tensor: an array, its gradient, and the node of the graph that made it.

The operators (`+`, `@`, `[...]`, ...) are ops; `tinyres.ops` installs them here when it is imported, so that this file
knows nothing of what stands above it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyres.errors import DtypeError, GradientError, ShapeError
from tinyres.kernels.cuda import is_array
from tinyres.kernels.launch import Array, array_module, device_of

if TYPE_CHECKING:
    from tinyres.function import Function

# Every leaf and every node draws the next number: what was made later has a larger one. Backward goes by it.
creation = itertools.count()

Hook = Callable[["Tensor"], "Tensor | None"]


class Tensor:
    """An array that remembers how it was computed.

    Parameters
    ----------
    array : array_like
        A NumPy or CuPy array, kept as it is, not copied; its type fixes the device. Anything else becomes a NumPy
        array, Python floats in float32.
    requires_grad : bool
        Whether a backward pass shall leave a gradient in `.grad`.

    Attributes
    ----------
    data : ndarray
        The array.
    grad : Tensor or None
        The gradient that backward passes have added up here.
    node, index
        The operation that made this tensor and which of its results it is; None for a leaf.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.grad.numpy()
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("__weakref__", "data", "grad", "hooks", "index", "moments", "node", "order", "requires_grad", "slot")
    __array_priority__ = 1000  # ndarray + Tensor asks Tensor
    __array_ufunc__ = None

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        if isinstance(array, Tensor):
            array = array.data
        if not isinstance(array, np.ndarray) and not is_array(array):
            floats = not isinstance(array, np.generic)  # a Python float has no precision of its own
            array = np.asarray(array)
            if floats and array.dtype == np.float64:
                array = array.astype(np.float32)
        if array.dtype.kind not in "fiub":
            raise DtypeError(f"a Tensor holds numbers, not {array.dtype}.")
        if requires_grad and array.dtype.kind != "f":
            raise DtypeError(
                f"only floating tensors have gradients, this one is {array.dtype}; use .astype('float32')."
            )
        self.data: Array = array
        self.requires_grad = requires_grad
        self.grad: Tensor | None = None
        self.node: Function | None = None
        self.index = 0
        self.order = next(creation)
        self.hooks: list[Hook] | None = None  # of a leaf; those of a result stand on its node
        # mean and variance [C] over all axes but the last, where the kernel that made this had them at hand
        self.moments: tuple[Array, Array] | None = None
        self.slot: Array | None = None  # where the gradient of a parameter is stored: a view into a flat buffer

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: no place in a graph, none in a flat buffer."""
        if self.node is not None:
            raise GradientError(f"only leaves can be copied, this tensor is made by {self.node.name}; use .detach().")
        return {name: getattr(self, name) for name in ("data", "requires_grad", "grad", "hooks")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Tensor.__init__(self, state["data"], state["requires_grad"])  # with a number of its own: backward goes by it
        self.grad, self.hooks = state["grad"], state["hooks"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions."""
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(self.data.size)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return device_of(self.data)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a tensor without dimensions has no length; its value is .item().")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        made = f", made by {self.node.name}" if self.node else ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self.numpy(), prefix='Tensor(', threshold=20)}, {self.dtype}{made})"

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array: the very array on a CPU, a copy from a GPU."""
        array: np.ndarray = self.data if isinstance(self.data, np.ndarray) else self.data.get()
        return array

    def item(self) -> float:
        """The value of a tensor that holds just one."""
        if self.size != 1:
            raise ShapeError(f"item: a tensor of shape {list(self.shape)} has {self.size} values, not one.")
        return float(self.data.item())

    def detach(self) -> Tensor:
        """The same array as a new leaf, cut from the graph."""
        return Tensor(self.data)

    def backward(self, grad: Tensor | Array | None = None, *, retain_graph: bool = False) -> None:
        """Add to `.grad` of every leaf the gradient of this tensor, contracted with `grad`.

        Parameters
        ----------
        grad : Tensor or ndarray, optional
            Cotangent of this tensor's shape; 1 where this tensor is a single value and none is given.
        retain_graph : bool
            Keep what was saved, so that backward can run over this graph again.

        Raises
        ------
        GradientError
            Nothing here requires a gradient, or the graph was already used up.
        ShapeError
            A cotangent of another shape, or none for a tensor of several values.
        """
        from tinyres.autograd import run_backward

        run_backward([self], [self.cotangent(grad)], retain_graph=retain_graph)

    def cotangent(self, grad: Tensor | Array | None) -> Tensor:
        """Check the cotangent given for this tensor, or make the 1 of a scalar."""
        if not self.requires_grad:
            raise GradientError(
                "this tensor does not depend on any that requires a gradient; make one with requires_grad=True."
            )
        if grad is None:
            if self.size != 1:
                raise ShapeError(f"backward from shape {list(self.shape)} needs a cotangent of that shape; pass grad=.")
            return Tensor(array_module(self.data).ones(self.shape, self.dtype))
        grad = as_tensor(grad, like=self)
        if grad.shape != self.shape or grad.dtype != self.dtype:
            raise ShapeError(
                f"the cotangent is {grad.dtype} {list(grad.shape)}, the tensor {self.dtype} "
                f"{list(self.shape)}; make them equal."
            )
        return grad

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook` with this tensor's whole gradient once it is known; a Tensor that it returns takes its place.

        Returns
        -------
        callable
            Takes the hook away again.
        """
        if not self.requires_grad:
            raise GradientError("this tensor gets no gradient, so a hook on it would never be called.")
        if self.node is not None:
            hooks = self.node.hooks.setdefault(self.index, [])
        else:
            hooks = self.hooks = self.hooks if self.hooks is not None else []
        hooks.append(hook)
        return lambda: hooks.remove(hook) if hook in hooks else None

    if TYPE_CHECKING:  # installed by tinyres.ops
        T: Tensor

        def __add__(self, other: Any) -> Tensor: ...

        def __radd__(self, other: Any) -> Tensor: ...

        def __sub__(self, other: Any) -> Tensor: ...

        def __rsub__(self, other: Any) -> Tensor: ...

        def __mul__(self, other: Any) -> Tensor: ...

        def __rmul__(self, other: Any) -> Tensor: ...

        def __truediv__(self, other: Any) -> Tensor: ...

        def __rtruediv__(self, other: Any) -> Tensor: ...

        def __pow__(self, other: Any) -> Tensor: ...

        def __rpow__(self, other: Any) -> Tensor: ...

        def __matmul__(self, other: Any) -> Tensor: ...

        def __rmatmul__(self, other: Any) -> Tensor: ...

        def __neg__(self) -> Tensor: ...

        def __getitem__(self, index: Any) -> Tensor: ...

        def reshape(self, *sizes: Any) -> Tensor: ...

        def transpose(self, *axes: Any) -> Tensor: ...

        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...

        def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...


def as_tensor(value: Any, like: Tensor | None = None) -> Tensor:
    """A Tensor of anything; a bare number takes the type and the device of `like`."""
    if isinstance(value, Tensor):
        return value
    if like is not None and isinstance(value, int | float) and not isinstance(value, np.generic):
        return Tensor(array_module(like.data).asarray(value, dtype=like.dtype))
    return Tensor(value)
