"""Shape rules of convolution, batch norm, shortcut, pooling and loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.errors import DtypeError, ShapeError
from tinyres.kernels import cuda
from tinyres.kernels.shapes.rules import (
    Array,
    Padding,
    Spec,
    exactly,
    floating,
    of_kind,
    out_size,
    rank,
    rule,
    same_shape,
    two_values,
    vector,
    whole,
)


def _filters_fit(op: str, x_shape: Sequence[int], w_shape: Sequence[int], groups: int) -> None:
    rank(op, "x", x_shape, "[N, H, W, C]")
    rank(op, "w", w_shape, "[R, S, C, F]")
    whole(op, groups=groups)
    if groups < 1:
        raise ShapeError(f"{op}: groups is {groups}; 1 or more are wanted.")
    channels, per_group, filters = x_shape[3], w_shape[2], w_shape[3]
    if channels != per_group * groups:
        hint = ""
        if x_shape[1] == per_group * groups:
            hint = " x looks channels first; tinyres is channels last: numpy.moveaxis(x, 1, -1)."
        grouped = f" in {groups} groups" if groups > 1 else ""
        raise ShapeError(
            f"{op}: x {list(x_shape)} has {channels} channels and w {list(w_shape)} takes "
            f"{per_group * groups}{grouped}.{hint}"
        )
    if filters % groups:
        raise ShapeError(f"{op}: {filters} filters in w {list(w_shape)} do not divide into {groups} groups.")


def _conv_size(
    op: str, x_shape: Sequence[int], window: Sequence[int], stride: int, padding: Padding
) -> tuple[int, int]:
    top, bottom, left, right = padding
    whole(op, stride=stride, **dict(zip(("top padding", "bottom", "left", "right"), padding, strict=True)))
    if stride < 1 or min(padding) < 0:
        raise ShapeError(
            f"{op}: stride {stride}, padding {padding}; a stride of 1 or more and padding of 0 or more are wanted."
        )
    high = out_size(x_shape[1], window[0], stride, top, bottom)
    wide = out_size(x_shape[2], window[1], stride, left, right)
    if high < 1 or wide < 1:
        raise ShapeError(
            f"{op}: a {window[0]}x{window[1]} window does not fit into x {list(x_shape)} with padding "
            f"{padding}; pad more."
        )
    return high, wide


@rule("conv2d")
def _conv2d(op: str, x: Array, w: Array, *, stride: int, padding: Padding, groups: int) -> Spec:
    dtype = floating(op, x=x, w=w)
    _filters_fit(op, x.shape, w.shape, groups)
    return [((x.shape[0], *_conv_size(op, x.shape, w.shape, stride, padding), w.shape[3]), dtype)]


@rule("conv2d_stats")
def _conv2d_stats(op: str, x: Array, w: Array, *, stride: int, padding: Padding, groups: int) -> Spec:
    ((shape, dtype),) = _conv2d(op, x, w, stride=stride, padding=padding, groups=groups)
    two_values(op, "the output", shape)
    return [(shape, dtype), (shape[3:], dtype), (shape[3:], dtype)]  # y, mean, variance


def _cotangent_fits(
    op: str, dy: Array, x_shape: Sequence[int], w_shape: Sequence[int], stride: int, padding: Padding
) -> None:
    wanted = (x_shape[0], *_conv_size(op, x_shape, w_shape, stride, padding), w_shape[3])
    if dy.shape != wanted:
        raise ShapeError(f"{op}: dy has shape {list(dy.shape)}; the convolution's output is {list(wanted)}.")


@rule("conv2d_input")
def _conv2d_input(
    op: str, dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int
) -> Spec:
    dtype = floating(op, dy=dy, w=w)
    _filters_fit(op, shape, w.shape, groups)
    _cotangent_fits(op, dy, shape, w.shape, stride, padding)
    return [(shape, dtype)]


@rule("conv2d_weight")
def _conv2d_weight(
    op: str, x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int
) -> Spec:
    dtype = floating(op, x=x, dy=dy)
    _filters_fit(op, x.shape, shape, groups)
    _cotangent_fits(op, dy, x.shape, shape, stride, padding)
    return [(shape, dtype)]


@rule("batch_norm", "bn_relu", "bn_add_relu")
def _batch_norm(op: str, x: Array, gamma: Array, beta: Array, *shortcut: Array, eps: float) -> Spec:
    named = dict(zip(("x", "gamma", "beta", "shortcut"), (x, gamma, beta, *shortcut), strict=False))
    dtype = floating(op, **named)
    two_values(op, "x", x.shape)
    channels = x.shape[-1]
    vector(op, channels, "channel", gamma=gamma, beta=beta)
    if shortcut:
        same_shape(op, x=x, shortcut=shortcut[0])
    return [(x.shape, dtype), ((channels,), dtype), ((channels,), dtype)]  # y, mean, variance


@rule("batch_norm_eval", "bn_relu_eval")
def _batch_norm_eval(op: str, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float) -> Spec:
    dtype = floating(op, x=x, gamma=gamma, beta=beta, mean=mean, variance=variance)
    if not x.ndim:
        raise ShapeError(f"{op}: x has shape []; [..., C] is wanted, with channels.")
    vector(op, x.shape[-1], "channel", gamma=gamma, beta=beta, mean=mean, variance=variance)
    return [(x.shape, dtype)]


@rule("bn_add_relu_eval")
def _bn_add_relu_eval(
    op: str, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, shortcut: Array, *, eps: float
) -> Spec:
    floating(op, x=x, shortcut=shortcut)
    same_shape(op, x=x, shortcut=shortcut)
    return _batch_norm_eval(op, x, gamma, beta, mean, variance, eps=eps)


@rule("batch_norm_gradient")
def _batch_norm_gradient(
    op: str, dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float
) -> Spec:
    dtype = floating(op, dy=dy, x=x, gamma=gamma, mean=mean, variance=variance)
    same_shape(op, x=x, dy=dy)
    vector(op, x.shape[-1], "channel", gamma=gamma, mean=mean, variance=variance)
    return [(x.shape, dtype), (gamma.shape, dtype), (gamma.shape, dtype)]  # dx, dgamma, dbeta


@rule("bn_relu_gradient")
def _bn_relu_gradient(
    op: str, dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float
) -> Spec:
    floating(op, dy=dy, beta=beta)
    specs = _batch_norm_gradient(op, dy, x, gamma, mean, variance, eps=eps)
    vector(op, x.shape[-1], "channel", beta=beta)
    return specs


@rule("bn_add_relu_gradient")
def _bn_add_relu_gradient(
    op: str, dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float
) -> Spec:
    floating(op, dy=dy, y=y)
    same_shape(op, x=x, y=y)
    specs = _batch_norm_gradient(op, dy, x, gamma, mean, variance, eps=eps)
    return [*specs, (x.shape, x.dtype)]  # ..., dshortcut


@rule("running_averages")
def _running_averages(
    op: str, running_mean: Array, running_var: Array, mean: Array, variance: Array, *, momentum: float, scale: float
) -> Spec:
    named = {"running_mean": running_mean, "running_var": running_var, "mean": mean, "variance": variance}
    dtype = floating(op, **named)
    same_shape(op, **named)
    return [(mean.shape, dtype), (mean.shape, dtype)]  # running_mean, running_var


@rule("pad_shortcut")
def _pad_shortcut(op: str, x: Array, *, channels: int, stride: int) -> Spec:
    rank(op, "x", x, "[N, H, W, C]")
    whole(op, channels=channels, stride=stride)
    if channels < x.shape[3] or stride < 1:
        raise ShapeError(
            f"{op}: {channels} channels, stride {stride}, x {list(x.shape)}: at least {x.shape[3]} "
            "channels and stride 1 are wanted."
        )
    n, h, w, _ = x.shape
    return [((n, -(-h // stride), -(-w // stride), channels), floating(op, x=x))]


@rule("pad_shortcut_gradient")
def _pad_shortcut_gradient(op: str, dy: Array, *, shape: tuple[int, ...], stride: int) -> Spec:
    rank(op, "dy", dy, "[N, I, J, C]")
    n, h, w, c = shape
    exactly(op, "dy", dy, (n, -(-h // stride), -(-w // stride), max(c, dy.shape[3])))
    return [(shape, floating(op, dy=dy))]


@rule("max_pool2d")
def _max_pool2d(op: str, x: Array, *, kernel: int, stride: int, padding: int) -> Spec:
    rank(op, "x", x, "[N, H, W, C]")
    whole(op, kernel=kernel, stride=stride, padding=padding)
    if kernel < 1 or 2 * padding > kernel:
        raise ShapeError(f"{op}: kernel {kernel}, padding {padding}; at most half the window may be padding.")
    size = _conv_size(op, x.shape, (kernel, kernel), stride, (padding,) * 4)
    shape = (x.shape[0], *size, x.shape[3])
    return [(shape, floating(op, x=x)), (shape, np.dtype(np.int64))]  # y, place of the maximum in x[n].ravel()


def _places_fit(op: str, x_shape: Sequence[int], place: Array) -> None:
    of_kind(op, "iu", "integers", place=place)
    rank(op, "x", x_shape, "[N, H, W, C]")
    rank(op, "place", place, "[N, I, J, C]")
    exactly(op, "place", place, (x_shape[0], *place.shape[1:3], x_shape[3]))


@rule("max_pool2d_gradient")
def _max_pool2d_gradient(op: str, dy: Array, place: Array, *, shape: tuple[int, ...]) -> Spec:
    same_shape(op, place=place, dy=dy)
    _places_fit(op, shape, place)
    return [(shape, floating(op, dy=dy))]


@rule("max_pool2d_gather")
def _max_pool2d_gather(op: str, x: Array, place: Array) -> Spec:
    _places_fit(op, x.shape, place)
    return [(place.shape, floating(op, x=x))]


@rule("global_avg_pool")
def _global_avg_pool(op: str, x: Array) -> Spec:
    rank(op, "x", x, "[N, H, W, C]")
    if not x.shape[1] * x.shape[2]:
        raise ShapeError(f"{op}: x {list(x.shape)} has no pixels to average; H and W of 1 or more are wanted.")
    return [((x.shape[0], x.shape[3]), floating(op, x=x))]


@rule("global_avg_pool_gradient")
def _global_avg_pool_gradient(op: str, dy: Array, *, shape: tuple[int, ...]) -> Spec:
    exactly(op, "dy", dy, (shape[0], shape[3]))
    return [(shape, floating(op, dy=dy))]


def _labels_fit(op: str, logits: Array, labels: Array) -> np.dtype[Any]:
    rank(op, "logits", logits, "[N, K]")
    if not logits.size:
        raise ShapeError(f"{op}: logits {list(logits.shape)} hold no values, whose mean loss is undefined.")
    if labels.dtype.kind not in "iu" or labels.shape != logits.shape[:1]:
        error = DtypeError if labels.dtype.kind not in "iu" else ShapeError
        raise error(
            f"{op}: labels are {labels.dtype} {list(labels.shape)}; integers [{logits.shape[0]}] are wanted, "
            f"one for each row of logits {list(logits.shape)}."
        )
    wrong = None if cuda.is_array(labels) and cuda.capturing() else (labels < 0) | (labels >= logits.shape[1])
    if wrong is not None and wrong.any():  # a graph cannot ask; the eager step before it has
        position = int(wrong.argmax())
        raise ShapeError(
            f"{op}: label {int(labels[position])} at position {position} is out of range: "
            f"logits {list(logits.shape)} have classes 0 to {logits.shape[1] - 1}."
        )
    return floating(op, logits=logits)


@rule("softmax_cross_entropy")
def _softmax_cross_entropy(op: str, logits: Array, labels: Array) -> Spec:
    return [((), _labels_fit(op, logits, labels))]


@rule("softmax_cross_entropy_gradient")
def _softmax_cross_entropy_gradient(op: str, dloss: Array, logits: Array, labels: Array) -> Spec:
    _labels_fit(op, logits, labels)
    return [(logits.shape, floating(op, dloss=dloss, logits=logits))]
