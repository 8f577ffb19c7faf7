"""The table of shape rules, and the checks that they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyres.errors import DtypeError, ShapeError

Array = Any
Spec = list[tuple[tuple[int, ...], np.dtype[Any]]]
Padding = tuple[int, int, int, int]

RULES: dict[str, Callable[..., Spec]] = {}
# whose rules look at more than shapes and types: labels out of range, indices
LOOK_AT_VALUES = ("softmax_cross_entropy", "softmax_cross_entropy_gradient", "getitem", "getitem_gradient")
VIEWS = ("reshape", "transpose", "getitem")  # no arithmetic: their kernels may return a view of the input


def rule(*ops: str) -> Callable[[Callable[..., Spec]], Callable[..., Spec]]:
    """Enter one rule under several ops; the rule takes the op's name first."""

    def register(function: Callable[..., Spec]) -> Callable[..., Spec]:
        for op in ops:
            RULES[op] = lambda *arrays, _op=op, **params: function(_op, *arrays, **params)
        return function

    return register


def floating(op: str, **arrays: Array) -> np.dtype[Any]:
    """The one floating dtype that all these arrays share."""
    first_name, first = next(iter(arrays.items()))
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise DtypeError(
                f"{op}: {name} is {array.dtype}; floating arrays are wanted, convert with .astype('float32')."
            )
        if array.dtype != first.dtype:
            raise DtypeError(
                f"{op}: {first_name} is {first.dtype} and {name} is {array.dtype}; convert one, types are never mixed."
            )
    dtype: np.dtype[Any] = first.dtype
    return dtype


def of_kind(op: str, kinds: str, wanted: str, **arrays: Array) -> None:
    """That these arrays hold numbers of a kind (letters of `dtype.kind`), in words `wanted`."""
    for name, array in arrays.items():
        if array.dtype.kind not in kinds:
            raise DtypeError(f"{op}: {name} is {array.dtype}; {wanted} are wanted.")


def rank(op: str, name: str, array: Array, layout: str) -> None:
    """That an array (or a shape) has the dimensions that its layout, such as `[N, H, W, C]`, names."""
    wanted, shape = len(layout.strip("[]").split(",")), list(array if isinstance(array, tuple) else array.shape)
    if len(shape) != wanted:
        raise ShapeError(f"{op}: {name} has shape {shape}; {wanted} dimensions {layout} are wanted.")


def whole(op: str, **numbers: Any) -> None:
    """That each of these is one whole number."""
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer):
            raise ShapeError(f"{op}: {name} is {number!r}; one whole number is wanted.")


def same_shape(op: str, **arrays: Array) -> None:
    """That all these arrays have one shape."""
    (first_name, first), *others = arrays.items()
    for name, array in others:
        if array.shape != first.shape:
            raise ShapeError(
                f"{op}: {name} has shape {list(array.shape)} and {first_name} {list(first.shape)}; "
                "they must be the same."
            )


def exactly(op: str, name: str, array: Array, shape: Sequence[int]) -> None:
    """That an array has the one shape that fits the op's other arguments."""
    if array.shape != tuple(shape):
        raise ShapeError(f"{op}: {name} has shape {list(array.shape)}; {list(shape)} is wanted here.")


def vector(op: str, length: int, of: str, **arrays: Array) -> None:
    """That each of these arrays is a vector of that length."""
    for name, array in arrays.items():
        if array.shape != (length,):
            raise ShapeError(
                f"{op}: {name} has shape {list(array.shape)}; [{length}] is wanted, one value for each {of}."
            )


def two_values(op: str, name: str, shape: Sequence[int]) -> None:
    """That a channel, the last axis, has the two values that a variance wants."""
    size = math.prod(shape)
    if len(shape) < 2 or size <= shape[-1]:
        raise ShapeError(
            f"{op}: {name} {list(shape)} has {min(size, 1)} values a channel, and a variance wants two; train with a "
            "larger batch, or use evaluation."
        )


def axes_of(op: str, ndim: int, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """An `axis` argument as a sorted tuple of axes that exist."""
    axes = range(ndim) if axis is None else [axis] if isinstance(axis, int | np.integer) else axis
    if any(not -ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) != len(axes):
        raise ShapeError(f"{op}: axis {axis} does not fit an array of {ndim} dimensions.")
    return tuple(sorted(a % ndim for a in axes))


def out_size(size: int, kernel: int, stride: int, before: int, after: int) -> int:
    """Positions of a window: floor((size + padding - kernel) / stride) + 1."""
    return (size + before + after - kernel) // stride + 1
