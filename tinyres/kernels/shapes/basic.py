"""Shape rules of arithmetic, shapes, sums and matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.errors import ShapeError
from tinyres.kernels.shapes.rules import (
    Array,
    Spec,
    axes_of,
    exactly,
    floating,
    rank,
    rule,
    same_shape,
    vector,
)


@rule("add", "sub", "mul", "div", "power", "add_relu")
def _binary(op: str, a: Array, b: Array) -> Spec:
    dtype = floating(op, a=a, b=b)
    try:
        return [(np.broadcast_shapes(a.shape, b.shape), dtype)]
    except ValueError:
        raise ShapeError(f"{op}: shapes {list(a.shape)} and {list(b.shape)} do not broadcast to one.") from None


@rule("neg", "exp", "log", "sqrt", "relu", "tanh", "sigmoid")
def _unary(op: str, x: Array) -> Spec:
    return [(x.shape, floating(op, x=x))]


@rule("softmax")
def _softmax(op: str, x: Array, *, axis: int) -> Spec:
    if not x.shape[axes_of(op, x.ndim, axis)[0]]:
        raise ShapeError(f"{op}: axis {axis} of {list(x.shape)} has no values to share 1 among.")
    return [(x.shape, floating(op, x=x))]


@rule("relu_gradient")
def _relu_gradient(op: str, dy: Array, y: Array) -> Spec:
    same_shape(op, y=y, dy=dy)
    return [(y.shape, floating(op, dy=dy, y=y))]


@rule("dropout")
def _dropout(op: str, x: Array, *, p: float, seed: int, step: int) -> Spec:
    if not 0 <= p < 1:
        raise ShapeError(f"{op}: p is {p}; a probability from 0 up to, not including, 1 is wanted.")
    return [(x.shape, floating(op, x=x))]


@rule("reshape")
def _reshape(op: str, x: Array, *, shape: tuple[int, ...]) -> Spec:
    if min(shape, default=0) < 0 or int(np.prod(shape)) != x.size:
        raise ShapeError(f"{op}: {list(x.shape)} holds {x.size} values and {list(shape)} does not.")
    return [(shape, x.dtype)]


@rule("transpose")
def _transpose(op: str, x: Array, *, axes: tuple[int, ...]) -> Spec:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"{op}: axes {axes} do not name each of the {x.ndim} dimensions of {list(x.shape)} once.")
    return [(tuple(x.shape[a] for a in axes), x.dtype)]


def _indexed(op: str, shape: tuple[int, ...], index: Any) -> tuple[int, ...]:
    try:
        return tuple(np.broadcast_to(np.empty((), bool), shape)[index].shape)  # a stand-in without memory
    except IndexError as error:
        raise ShapeError(f"{op}: index {index!r} does not fit shape {list(shape)}: {error}.") from None


@rule("getitem")
def _getitem(op: str, x: Array, *, index: Any) -> Spec:
    return [(_indexed(op, x.shape, index), x.dtype)]


@rule("getitem_gradient")
def _getitem_gradient(op: str, dy: Array, *, index: Any, shape: tuple[int, ...]) -> Spec:
    exactly(op, "dy", dy, _indexed(op, shape, index))
    return [(shape, floating(op, dy=dy))]


@rule("concat")
def _concat(op: str, *arrays: Array, axis: int) -> Spec:
    dtype = floating(op, **{f"array {i}": a for i, a in enumerate(arrays)})
    (axis,) = axes_of(op, arrays[0].ndim, axis)
    shapes = [list(a.shape) for a in arrays]
    if any(s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for s in shapes):
        raise ShapeError(f"{op}: shapes {shapes} differ in more than axis {axis}.")
    return [((*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]), dtype)]


@rule("broadcast_to")
def _broadcast_to(op: str, x: Array, *, shape: tuple[int, ...]) -> Spec:
    try:
        fits = np.broadcast_shapes(x.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{op}: shape {list(x.shape)} does not broadcast to {list(shape)}.")
    return [(shape, x.dtype)]


@rule("sum", "mean")
def _reduction(op: str, x: Array, *, axis: int | Sequence[int] | None, keepdims: bool) -> Spec:
    axes = axes_of(op, x.ndim, axis)
    if op == "mean" and not math.prod(x.shape[a] for a in axes):
        raise ShapeError(f"{op}: {list(x.shape)} has no values along axis {axis}, whose mean is undefined.")
    kept = (1,) if keepdims else ()
    return [(tuple(s for a, n in enumerate(x.shape) for s in ((n,) if a not in axes else kept)), floating(op, x=x))]


@rule("matmul")
def _matmul(op: str, a: Array, b: Array) -> Spec:
    dtype = floating(op, a=a, b=b)
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"{op}: {list(a.shape)} @ {list(b.shape)}: [..., M, K] @ [..., K, N] is wanted, with one K.")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"{op}: {list(a.shape)} @ {list(b.shape)}: the axes before the last two differ.") from None
    return [((*batch, a.shape[-2], b.shape[-1]), dtype)]


@rule("linear")
def _linear(op: str, x: Array, w: Array, b: Array) -> Spec:
    dtype = floating(op, x=x, w=w, b=b)
    rank(op, "x", x, "[N, C]")
    rank(op, "w", w, "[C, F]")
    if x.shape[1] != w.shape[0]:
        raise ShapeError(f"{op}: x {list(x.shape)} has {x.shape[1]} features and w {list(w.shape)} takes {w.shape[0]}.")
    vector(op, w.shape[1], "output", b=b)
    return [((x.shape[0], w.shape[1]), dtype)]
