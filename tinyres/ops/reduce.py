"""Sums, means and their transpose, broadcasting.

Summing and broadcasting are each other's derivative: what was added up into one number hands its gradient to all of
them, what was copied receives the sum of its copies' gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.kernels.shapes import axes_of
from tinyres.ops.derivatives import sum_to
from tinyres.ops.shape import reshape
from tinyres.tensor import Tensor, as_tensor

Axis = int | Sequence[int] | None


class Sum(Function):
    op = "sum"

    def __init__(self, axes: tuple[int, ...], keepdims: bool) -> None:
        self.axes, self.keepdims = axes, keepdims

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return self.kernel(x, axis=self.axes, keepdims=self.keepdims)

    def backward(self, dy: Tensor) -> Tensor:
        return broadcast_to(_with_axes(dy, self.shape, self.axes), self.shape)


class Mean(Sum):
    op = "mean"

    def backward(self, dy: Tensor) -> Tensor:
        count = 1
        for axis in self.axes:
            count *= self.shape[axis]
        return super().backward(dy * (1 / count))


class BroadcastTo(Function):
    op = "broadcast_to"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return self.kernel(x, shape=self.shape)

    def backward(self, dy: Tensor) -> Tensor:
        summed: Tensor = sum_to(dy, self.shapes[0])
        return summed


def _with_axes(dy: Tensor, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """Give the summed axes back, of length 1."""
    return reshape(dy, tuple(1 if axis in axes else size for axis, size in enumerate(shape)))


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over axes (all of them by default).

    Parameters
    ----------
    x : Tensor, any shape
    axis : int or sequence of int, optional
    keepdims : bool
        Leave the summed axes in place, of length 1.
    """
    x = as_tensor(x)
    return apply(Sum(axes_of("sum", x.ndim, axis), keepdims), x)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over axes (all of them by default); arguments as of `sum`."""
    x = as_tensor(x)
    return apply(Mean(axes_of("mean", x.ndim, axis), keepdims), x)


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """Copy x along new axes and axes of length 1 until it has this shape."""
    x = as_tensor(x)
    return x if x.shape == tuple(shape) else apply(BroadcastTo(tuple(shape)), x)
