"""Per op: what its arrays must look like, and the shape and dtype of each of its results.

A rule takes the op's arrays and parameters and returns [(shape, dtype), ...]; what does not fit raises one sentence with
the op, the argument, both shapes and the remedy. Shape letters, here and everywhere:

    N batch   H, W height and width   C channels in   F channels out (filters)   R, S kernel height and width
    I, J height and width of the output   K classes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyres.errors import DtypeError, ShapeError

Array = Any
Spec = list[tuple[tuple[int, ...], np.dtype[Any]]]
Padding = tuple[int, int, int, int]

RULES: dict[str, Callable[..., Spec]] = {}
VIEWS = ("reshape", "transpose", "getitem")  # no arithmetic: their kernels may return a view of the input


def rule(*ops: str) -> Callable[[Callable[..., Spec]], Callable[..., Spec]]:
    """Enter one rule under several ops; the rule takes the op's name first."""

    def register(function: Callable[..., Spec]) -> Callable[..., Spec]:
        for op in ops:
            RULES[op] = lambda *arrays, _op=op, **params: function(_op, *arrays, **params)
        return function

    return register


def _floating(op: str, **arrays: Array) -> np.dtype[Any]:
    """The one floating dtype that all these arrays share."""
    first_name, first = next(iter(arrays.items()))
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise DtypeError(f"{op}: {name} is {array.dtype}; floating arrays are wanted, convert with .astype('float32').")
        if array.dtype != first.dtype:
            raise DtypeError(
                f"{op}: {first_name} is {first.dtype} and {name} is {array.dtype}; convert one, types are never mixed."
            )
    dtype: np.dtype[Any] = first.dtype
    return dtype


def _rank(op: str, name: str, array: Array, layout: str) -> None:
    wanted = len(layout.strip("[]").split(","))
    if array.ndim != wanted:
        raise ShapeError(f"{op}: {name} has shape {list(array.shape)}; {wanted} dimensions {layout} are wanted.")


def _same_shape(op: str, **arrays: Array) -> None:
    (first_name, first), *others = arrays.items()
    for name, array in others:
        if array.shape != first.shape:
            raise ShapeError(
                f"{op}: {name} has shape {list(array.shape)} and {first_name} {list(first.shape)}; they must be the same."
            )


def _vector(op: str, length: int, of: str, **arrays: Array) -> None:
    for name, array in arrays.items():
        if array.shape != (length,):
            raise ShapeError(f"{op}: {name} has shape {list(array.shape)}; [{length}] is wanted, one value for each {of}.")


def axes_of(op: str, ndim: int, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """An `axis` argument as a sorted tuple of axes that exist."""
    axes = range(ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    if any(not -ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) != len(axes):
        raise ShapeError(f"{op}: axis {axis} does not fit an array of {ndim} dimensions.")
    return tuple(sorted(a % ndim for a in axes))


def out_size(size: int, kernel: int, stride: int, before: int, after: int) -> int:
    """Positions of a window: floor((size + padding - kernel) / stride) + 1."""
    return (size + before + after - kernel) // stride + 1


# ---- elementwise ---------------------------------------------------------------------------------------------------
@rule("add", "sub", "mul", "div", "power", "add_relu")
def _binary(op: str, a: Array, b: Array) -> Spec:
    dtype = _floating(op, a=a, b=b)
    try:
        return [(np.broadcast_shapes(a.shape, b.shape), dtype)]
    except ValueError:
        raise ShapeError(f"{op}: shapes {list(a.shape)} and {list(b.shape)} do not broadcast to one.") from None


@rule("neg", "exp", "log", "sqrt", "relu", "tanh", "sigmoid")
def _unary(op: str, x: Array) -> Spec:
    return [(x.shape, _floating(op, x=x))]


@rule("softmax")
def _softmax(op: str, x: Array, *, axis: int) -> Spec:
    axes_of(op, x.ndim, axis)
    return [(x.shape, _floating(op, x=x))]


@rule("relu_gradient")
def _relu_gradient(op: str, dy: Array, y: Array) -> Spec:
    _same_shape(op, y=y, dy=dy)
    return [(y.shape, _floating(op, dy=dy, y=y))]


@rule("dropout")
def _dropout(op: str, x: Array, *, p: float, seed: int, step: int) -> Spec:
    if not 0 <= p < 1:
        raise ShapeError(f"{op}: p is {p}; a probability from 0 up to, not including, 1 is wanted.")
    return [(x.shape, _floating(op, x=x))]


# ---- shape ---------------------------------------------------------------------------------------------------------
@rule("reshape")
def _reshape(op: str, x: Array, *, shape: tuple[int, ...]) -> Spec:
    if int(np.prod(shape)) != x.size:
        raise ShapeError(f"{op}: {list(x.shape)} holds {x.size} values and {list(shape)} does not.")
    return [(shape, x.dtype)]


@rule("transpose")
def _transpose(op: str, x: Array, *, axes: tuple[int, ...]) -> Spec:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"{op}: axes {axes} do not name each of the {x.ndim} dimensions of {list(x.shape)} once.")
    return [(tuple(x.shape[a] for a in axes), x.dtype)]


@rule("getitem")
def _getitem(op: str, x: Array, *, index: Any) -> Spec:
    try:
        return [(np.broadcast_to(np.empty((), bool), x.shape)[index].shape, x.dtype)]  # a stand-in without memory
    except IndexError as error:
        raise ShapeError(f"{op}: index {index!r} does not fit shape {list(x.shape)}: {error}.") from None


@rule("getitem_gradient")
def _getitem_gradient(op: str, dy: Array, *, index: Any, shape: tuple[int, ...]) -> Spec:
    return [(shape, _floating(op, dy=dy))]


@rule("concat")
def _concat(op: str, *arrays: Array, axis: int) -> Spec:
    dtype = _floating(op, **{f"array {i}": a for i, a in enumerate(arrays)})
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
    kept = (1,) if keepdims else ()
    return [(tuple(s for a, n in enumerate(x.shape) for s in ((n,) if a not in axes else kept)), _floating(op, x=x))]


# ---- matrix products -----------------------------------------------------------------------------------------------
@rule("matmul")
def _matmul(op: str, a: Array, b: Array) -> Spec:
    dtype = _floating(op, a=a, b=b)
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"{op}: {list(a.shape)} @ {list(b.shape)}: [..., M, K] @ [..., K, N] is wanted, with one K.")
    (batch, _), *_ = _binary(op, np.empty((*a.shape[:-2], 0)), np.empty((*b.shape[:-2], 0)))
    return [((*batch[:-1], a.shape[-2], b.shape[-1]), dtype)]


@rule("linear")
def _linear(op: str, x: Array, w: Array, b: Array) -> Spec:
    dtype = _floating(op, x=x, w=w, b=b)
    _rank(op, "x", x, "[N, C]")
    _rank(op, "w", w, "[C, F]")
    if x.shape[1] != w.shape[0]:
        raise ShapeError(f"{op}: x {list(x.shape)} has {x.shape[1]} features and w {list(w.shape)} takes {w.shape[0]}.")
    _vector(op, w.shape[1], "output", b=b)
    return [((x.shape[0], w.shape[1]), dtype)]


# ---- convolution ---------------------------------------------------------------------------------------------------
def _filters_fit(op: str, x_shape: Sequence[int], w: Array, groups: int) -> None:
    _rank(op, "w", w, "[R, S, C, F]")
    channels, per_group, filters = x_shape[3], w.shape[2], w.shape[3]
    if channels != per_group * groups:
        hint = ""
        if x_shape[1] == per_group * groups:
            hint = " x looks channels first; tinyres is channels last: numpy.moveaxis(x, 1, -1)."
        grouped = f" in {groups} groups" if groups > 1 else ""
        raise ShapeError(
            f"{op}: x {list(x_shape)} has {channels} channels and w {list(w.shape)} takes {per_group}{grouped}.{hint}"
        )
    if filters % groups:
        raise ShapeError(f"{op}: {filters} filters in w {list(w.shape)} do not divide into {groups} groups.")


def _conv_size(op: str, x_shape: Sequence[int], window: Sequence[int], stride: int, padding: Padding) -> tuple[int, int]:
    top, bottom, left, right = padding
    if stride < 1 or min(padding) < 0:
        raise ShapeError(f"{op}: stride {stride}, padding {padding}; a stride of 1 or more and padding of 0 or more are wanted.")
    high = out_size(x_shape[1], window[0], stride, top, bottom)
    wide = out_size(x_shape[2], window[1], stride, left, right)
    if high < 1 or wide < 1:
        raise ShapeError(
            f"{op}: a {window[0]}x{window[1]} window does not fit into x {list(x_shape)} with padding {padding}; pad more."
        )
    return high, wide


@rule("conv2d")
def _conv2d(op: str, x: Array, w: Array, *, stride: int, padding: Padding, groups: int) -> Spec:
    dtype = _floating(op, x=x, w=w)
    _rank(op, "x", x, "[N, H, W, C]")
    _filters_fit(op, x.shape, w, groups)
    return [((x.shape[0], *_conv_size(op, x.shape, w.shape, stride, padding), w.shape[3]), dtype)]


def _cotangent_fits(op: str, dy: Array, x_shape: Sequence[int], w_shape: Sequence[int], stride: int, padding: Padding) -> None:
    wanted = (x_shape[0], *_conv_size(op, x_shape, w_shape, stride, padding), w_shape[3])
    if dy.shape != wanted:
        raise ShapeError(f"{op}: dy has shape {list(dy.shape)}; the convolution's output is {list(wanted)}.")


@rule("conv2d_input")
def _conv2d_input(
    op: str, dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int
) -> Spec:
    dtype = _floating(op, dy=dy, w=w)
    _filters_fit(op, shape, w, groups)
    _cotangent_fits(op, dy, shape, w.shape, stride, padding)
    return [(shape, dtype)]


@rule("conv2d_weight")
def _conv2d_weight(
    op: str, x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int
) -> Spec:
    dtype = _floating(op, x=x, dy=dy)
    _rank(op, "x", x, "[N, H, W, C]")
    _cotangent_fits(op, dy, x.shape, shape, stride, padding)
    return [(shape, dtype)]


# ---- batch norm: statistics over all axes but the last -----------------------------------------------------------------
@rule("batch_norm", "bn_relu", "bn_add_relu")
def _batch_norm(op: str, x: Array, gamma: Array, beta: Array, *shortcut: Array, eps: float) -> Spec:
    named = dict(zip(("x", "gamma", "beta", "shortcut"), (x, gamma, beta, *shortcut), strict=False))
    dtype = _floating(op, **named)
    if x.ndim < 2 or x.size == x.shape[-1]:
        raise ShapeError(
            f"{op}: x {list(x.shape)} has one value a channel, whose variance is 0; train with more, or use evaluation."
        )
    channels = x.shape[-1]
    _vector(op, channels, "channel", gamma=gamma, beta=beta)
    if shortcut:
        _same_shape(op, x=x, shortcut=shortcut[0])
    return [(x.shape, dtype), ((channels,), dtype), ((channels,), dtype)]  # y, mean, variance


@rule("batch_norm_eval")
def _batch_norm_eval(op: str, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float) -> Spec:
    dtype = _floating(op, x=x, gamma=gamma, beta=beta, mean=mean, variance=variance)
    _vector(op, x.shape[-1], "channel", gamma=gamma, beta=beta, mean=mean, variance=variance)
    return [(x.shape, dtype)]


@rule("batch_norm_gradient")
def _batch_norm_gradient(op: str, dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float) -> Spec:
    dtype = _floating(op, dy=dy, x=x, gamma=gamma, mean=mean, variance=variance)
    _same_shape(op, x=x, dy=dy)
    _vector(op, x.shape[-1], "channel", gamma=gamma, mean=mean, variance=variance)
    return [(x.shape, dtype), (gamma.shape, dtype), (gamma.shape, dtype)]  # dx, dgamma, dbeta


@rule("bn_relu_gradient", "bn_add_relu_gradient")
def _fused_gradient(
    op: str, dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float
) -> Spec:
    _same_shape(op, x=x, y=y)
    specs = _batch_norm_gradient(op, dy, x, gamma, mean, variance, eps=eps)
    return [*specs, (x.shape, x.dtype)] if op == "bn_add_relu_gradient" else specs  # ..., dshortcut


@rule("running_average")
def _running_average(op: str, running: Array, batch: Array, *, momentum: float, scale: float) -> Spec:
    _same_shape(op, running=running, batch=batch)
    return [(running.shape, _floating(op, running=running, batch=batch))]


# ---- shortcut and pooling --------------------------------------------------------------------------------------------
@rule("pad_shortcut")
def _pad_shortcut(op: str, x: Array, *, channels: int, stride: int) -> Spec:
    _rank(op, "x", x, "[N, H, W, C]")
    if channels < x.shape[3] or stride < 1:
        raise ShapeError(
            f"{op}: {channels} channels, stride {stride}, x {list(x.shape)}: at least {x.shape[3]} channels and stride 1 are wanted."
        )
    n, h, w, _ = x.shape
    return [((n, -(-h // stride), -(-w // stride), channels), _floating(op, x=x))]


@rule("pad_shortcut_gradient")
def _pad_shortcut_gradient(op: str, dy: Array, *, shape: tuple[int, ...], stride: int) -> Spec:
    return [(shape, _floating(op, dy=dy))]


@rule("max_pool2d")
def _max_pool2d(op: str, x: Array, *, kernel: int, stride: int, padding: int) -> Spec:
    _rank(op, "x", x, "[N, H, W, C]")
    if kernel < 1 or 2 * padding > kernel:
        raise ShapeError(f"{op}: kernel {kernel}, padding {padding}; at most half the window may be padding.")
    size = _conv_size(op, x.shape, (kernel, kernel), stride, (padding,) * 4)
    shape = (x.shape[0], *size, x.shape[3])
    return [(shape, _floating(op, x=x)), (shape, np.dtype(np.int64))]  # y, place of the maximum in x[n].ravel()


@rule("max_pool2d_gradient")
def _max_pool2d_gradient(op: str, dy: Array, place: Array, *, shape: tuple[int, ...]) -> Spec:
    _same_shape(op, place=place, dy=dy)
    return [(shape, _floating(op, dy=dy))]


@rule("max_pool2d_gather")
def _max_pool2d_gather(op: str, x: Array, place: Array) -> Spec:
    return [(place.shape, _floating(op, x=x))]


@rule("global_avg_pool")
def _global_avg_pool(op: str, x: Array) -> Spec:
    _rank(op, "x", x, "[N, H, W, C]")
    return [((x.shape[0], x.shape[3]), _floating(op, x=x))]


@rule("global_avg_pool_gradient")
def _global_avg_pool_gradient(op: str, dy: Array, *, shape: tuple[int, ...]) -> Spec:
    _rank(op, "dy", dy, "[N, C]")
    return [(shape, _floating(op, dy=dy))]


# ---- loss, update, input ---------------------------------------------------------------------------------------------
def _labels_fit(op: str, logits: Array, labels: Array) -> np.dtype[Any]:
    _rank(op, "logits", logits, "[N, K]")
    if labels.dtype.kind not in "iu" or labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"{op}: labels are {labels.dtype} {list(labels.shape)}; integers [{logits.shape[0]}] are wanted, "
            f"one for each row of logits {list(logits.shape)}."
        )
    wrong = (labels < 0) | (labels >= logits.shape[1])
    if wrong.any():
        position = int(wrong.argmax())
        raise ShapeError(
            f"{op}: label {int(labels[position])} at position {position} is out of range: "
            f"logits {list(logits.shape)} have classes 0 to {logits.shape[1] - 1}."
        )
    return _floating(op, logits=logits)


@rule("softmax_cross_entropy")
def _softmax_cross_entropy(op: str, logits: Array, labels: Array) -> Spec:
    return [((), _labels_fit(op, logits, labels))]


@rule("softmax_cross_entropy_gradient")
def _softmax_cross_entropy_gradient(op: str, dloss: Array, logits: Array, labels: Array) -> Spec:
    _labels_fit(op, logits, labels)
    return [(logits.shape, _floating(op, dloss=dloss, logits=logits))]


@rule("sgd")
def _sgd(op: str, w: Array, v: Array, g: Array, *, lr: float, momentum: float, weight_decay: float, nesterov: bool) -> Spec:
    dtype = _floating(op, w=w, v=v, g=g)
    _same_shape(op, w=w, v=v, g=g)
    return [(w.shape, dtype), (w.shape, dtype)]  # w, v


@rule("augment")
def _augment(
    op: str, images: Array, index: Array, mean: Array, top: Array, left: Array, flip: Array, *, scale: float, padding: int
) -> Spec:
    _rank(op, "images", images, "[M, H, W, C]")
    if images.dtype != np.uint8 or mean.shape != images.shape[1:]:
        raise ShapeError(
            f"{op}: images are {images.dtype} {list(images.shape)} and mean {list(mean.shape)}; "
            "uint8 images and a mean of one image's shape are wanted."
        )
    _same_shape(op, index=index, top=top, left=left, flip=flip)
    return [((len(index), *images.shape[1:]), _floating(op, mean=mean))]
