"""Shapes: views of an array, and joining arrays. Each derivative is the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.errors import ShapeError
from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.kernels.shapes import axes_of
from tinyres.tensor import Tensor, as_tensor


class Reshape(Function):
    op = "reshape"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return self.kernel(x, shape=self.shape)

    def backward(self, dy: Tensor) -> Tensor:
        return reshape(dy, self.shapes[0])


class Transpose(Function):
    op = "transpose"

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def forward(self, x: Array) -> Array:
        return self.kernel(x, axes=self.axes)

    def backward(self, dy: Tensor) -> Tensor:
        return transpose(dy, [self.axes.index(a) for a in range(len(self.axes))])


class Getitem(Function):
    op = "getitem"

    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, x: Array) -> Array:
        return self.kernel(x, index=self.index)

    def backward(self, dy: Tensor) -> Tensor:
        return apply(GetitemGradient(self.index, self.shapes[0]), dy)


class GetitemGradient(Function):
    op = "getitem_gradient"

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self.index, self.shape = index, shape

    def forward(self, dy: Array) -> Array:
        return self.kernel(dy, index=self.index, shape=self.shape)

    def backward(self, ddx: Tensor) -> Tensor:
        return getitem(ddx, self.index)


class Concat(Function):
    op = "concat"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *arrays: Array) -> Array:
        return self.kernel(*arrays, axis=self.axis)

    def backward(self, dy: Tensor) -> tuple[Tensor, ...]:
        parts, start = [], 0
        for shape in self.shapes:
            stop = start + shape[self.axis]
            parts.append(getitem(dy, (*[slice(None)] * self.axis, slice(start, stop))))
            start = stop
        return tuple(parts)


def reshape(x: Any, shape: int | Sequence[int]) -> Tensor:
    """The same values in another shape; one length may be -1 and is then worked out."""
    x, shape = as_tensor(x), (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if shape.count(-1) == 1:
        known = -int(np.prod(shape))
        if known == 0 or x.size % known:
            raise ShapeError(f"reshape: {list(x.shape)} holds {x.size} values, which do not divide into {list(shape)}.")
        shape = tuple(x.size // known if size == -1 else size for size in shape)
    return x if shape == x.shape else apply(Reshape(shape), x)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Exchange axes; by default in reverse order."""
    x = as_tensor(x)
    order = (
        tuple(range(x.ndim))[::-1] if axes is None else tuple(a % x.ndim if -x.ndim <= a < x.ndim else a for a in axes)
    )
    return apply(Transpose(order), x)


def getitem(x: Any, index: Any) -> Tensor:
    """x[index]: slices, integers, integer or boolean arrays, as NumPy has them."""
    items = index if isinstance(index, tuple) else (index,)
    plain = tuple(i.data if isinstance(i, Tensor) else i for i in items)
    return apply(Getitem(plain if isinstance(index, tuple) else plain[0]), x)


def concat(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors along an axis; their other lengths must agree."""
    if not len(tensors):
        raise ShapeError("concat: there is no tensor to join; pass one or more.")
    (axis,) = axes_of("concat", as_tensor(tensors[0]).ndim, axis)
    return apply(Concat(axis), *tensors)
