"""The oracle: every op as its formula says, by obvious loops and einsum, in float64, whatever type comes in.

Slow and independent of the fast kernels on purpose: no im2col, no chunks, no in-place work, nothing shared with them. What
a test, a benchmark or a lab calls right is what stands here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.kernels.masks import dropout_keeps
from tinyres.kernels.registry import kernel

Array = Any
DEVICE = "cpu"

# Every op that exists: this map is the list of ops.
MODULES = dict.fromkeys(
    """add sub mul div neg power exp log sqrt matmul linear reshape transpose getitem getitem_gradient concat broadcast_to
    sum mean relu relu_gradient tanh sigmoid softmax add_relu dropout conv2d conv2d_input conv2d_weight batch_norm
    batch_norm_gradient batch_norm_eval running_average bn_relu bn_relu_gradient bn_add_relu bn_add_relu_gradient
    pad_shortcut pad_shortcut_gradient max_pool2d max_pool2d_gradient max_pool2d_gather global_avg_pool
    global_avg_pool_gradient softmax_cross_entropy softmax_cross_entropy_gradient sgd augment""".split(),
    "tinyres.kernels.naive",
)


def missing() -> str | None:
    """Why this backend cannot run here: it always can."""
    return None


def oracle(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function under its own name (`sum_` as sum) as the kernel `naive`; it sees float64 arrays."""

    def in_float64(*arrays: Array, **params: Any) -> Any:
        return function(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays), **params)

    return kernel(function.__name__.rstrip("_"), "naive", strided=True)(in_float64)


# ---- elementwise -----------------------------------------------------------------------------------------------------
@oracle
def add(a: Array, b: Array) -> Array:
    return a + b


@oracle
def sub(a: Array, b: Array) -> Array:
    return a - b


@oracle
def mul(a: Array, b: Array) -> Array:
    return a * b


@oracle
def div(a: Array, b: Array) -> Array:
    return a / b


@oracle
def neg(x: Array) -> Array:
    return -x


@oracle
def power(a: Array, b: Array) -> Array:
    return a**b


@oracle
def exp(x: Array) -> Array:
    return np.exp(x)


@oracle
def log(x: Array) -> Array:
    return np.log(x)


@oracle
def sqrt(x: Array) -> Array:
    return np.sqrt(x)


# ---- products and shapes ---------------------------------------------------------------------------------------------
@oracle
def matmul(a: Array, b: Array) -> Array:
    return np.einsum("...mk,...kn->...mn", a, b)


@oracle
def linear(x: Array, w: Array, b: Array) -> Array:
    return np.einsum("nc,cf->nf", x, w) + b


@oracle
def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.array([x[i] for i in np.ndindex(*x.shape)]).reshape(shape)


@oracle
def transpose(x: Array, *, axes: tuple[int, ...]) -> Array:
    y = np.empty([x.shape[a] for a in axes])
    for i in np.ndindex(*x.shape):
        y[tuple(i[a] for a in axes)] = x[i]
    return y


@oracle
def getitem(x: Array, *, index: Any) -> Array:
    return x[index].copy()


@oracle
def getitem_gradient(dy: Array, *, index: Any, shape: tuple[int, ...]) -> Array:
    dx = np.zeros(shape)
    np.add.at(dx, index, dy)
    return dx


@oracle
def concat(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis)


@oracle
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape) + x


@oracle
def sum_(x: Array, *, axis: Any, keepdims: bool) -> Array:
    return np.sum(x, axis=axis, keepdims=keepdims)


@oracle
def mean(x: Array, *, axis: Any, keepdims: bool) -> Array:
    return np.mean(x, axis=axis, keepdims=keepdims)


# ---- activations -----------------------------------------------------------------------------------------------------
@oracle
def relu(x: Array) -> Array:
    return np.where(x > 0, x, 0 * x)  # 0 * x keeps a NaN a NaN


@oracle
def relu_gradient(dy: Array, y: Array) -> Array:
    return np.where(y > 0, dy, 0)


@oracle
def tanh(x: Array) -> Array:
    return np.tanh(x)


@oracle
def sigmoid(x: Array) -> Array:
    return np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(-np.abs(x))))


@oracle
def softmax(x: Array, *, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@oracle
def add_relu(a: Array, b: Array) -> Array:
    return np.maximum(a + b, 0)


@oracle
def dropout(x: Array, *, p: float, seed: int, step: int) -> Array:
    return np.where(dropout_keeps(x.shape, p, seed, step), x / (1 - p), 0)


# ---- convolution: y[n,i,j,f] = sum over r, s, c of x[n, i*stride + r - top, j*stride + s - left, c] * w[r,s,c,f] ----------
def _taps(size: tuple[int, ...], window: tuple[int, ...], stride: int) -> Any:
    """(r, s, rows, columns): for each tap, the slices of the padded input that it meets, one position an output."""
    for r in range(window[0]):
        for s in range(window[1]):
            yield r, s, slice(r, r + stride * size[0], stride), slice(s, s + stride * size[1], stride)


def _zero_padded(x: Array, padding: tuple[int, ...], stride: int) -> Array:
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom + stride), (left, right + stride), (0, 0)))  # + stride: slices never run out


def _grouped(c: int, f: int, groups: int) -> Any:
    for g in range(groups):
        yield slice(g * c // groups, (g + 1) * c // groups), slice(g * f // groups, (g + 1) * f // groups)


@oracle
def conv2d(x: Array, w: Array, *, stride: int, padding: tuple[int, ...], groups: int) -> Array:
    top, bottom, left, right = padding
    high = (x.shape[1] + top + bottom - w.shape[0]) // stride + 1
    wide = (x.shape[2] + left + right - w.shape[1]) // stride + 1
    xp, y = _zero_padded(x, padding, stride), np.zeros((x.shape[0], high, wide, w.shape[3]))
    for r, s, rows, columns in _taps((high, wide), w.shape, stride):
        for c, f in _grouped(x.shape[3], w.shape[3], groups):
            y[..., f] += np.einsum("nijc,cf->nijf", xp[:, rows, columns, c], w[r, s, :, f])
    return y


@oracle
def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int
) -> Array:
    dxp = _zero_padded(np.zeros(shape), padding, stride)
    for r, s, rows, columns in _taps(dy.shape[1:3], w.shape, stride):
        for c, f in _grouped(shape[3], w.shape[3], groups):
            dxp[:, rows, columns, c] += np.einsum("nijf,cf->nijc", dy[..., f], w[r, s, :, f])
    return dxp[:, padding[0] : padding[0] + shape[1], padding[2] : padding[2] + shape[2]]


@oracle
def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: tuple[int, ...], groups: int
) -> Array:
    xp, dw = _zero_padded(x, padding, stride), np.zeros(shape)
    for r, s, rows, columns in _taps(dy.shape[1:3], shape, stride):
        for c, f in _grouped(x.shape[3], shape[3], groups):
            dw[r, s, :, f] = np.einsum("nijc,nijf->cf", xp[:, rows, columns, c], dy[..., f])
    return dw


# ---- batch norm ------------------------------------------------------------------------------------------------------
def _normalised(x: Array, mean: Array, variance: Array, eps: float) -> Array:
    return (x - mean) / np.sqrt(variance + eps)


@oracle
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float) -> Array:
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes)
    return gamma * _normalised(x, mean, variance, eps) + beta, mean, variance


@oracle
def batch_norm_gradient(dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    axes = tuple(range(x.ndim - 1))
    xhat = _normalised(x, mean, variance, eps)
    dxhat = dy * gamma
    dx = (dxhat - dxhat.mean(axes) - xhat * (dxhat * xhat).mean(axes)) / np.sqrt(variance + eps)
    return dx, (dy * xhat).sum(axes), dy.sum(axes)


@oracle
def batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    return gamma * _normalised(x, mean, variance, eps) + beta


@oracle
def running_average(running: Array, batch: Array, *, momentum: float, scale: float) -> Array:
    return (1 - momentum) * running + momentum * scale * batch


@oracle
def bn_relu(x: Array, gamma: Array, beta: Array, *, eps: float) -> Array:
    y, mean, variance = batch_norm(x, gamma, beta, eps=eps)
    return relu(y), mean, variance


@oracle
def bn_relu_gradient(dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    return batch_norm_gradient(relu_gradient(dy, y), x, gamma, mean, variance, eps=eps)


@oracle
def bn_add_relu(x: Array, gamma: Array, beta: Array, shortcut: Array, *, eps: float) -> Array:
    y, mean, variance = batch_norm(x, gamma, beta, eps=eps)
    return add_relu(y, shortcut), mean, variance


@oracle
def bn_add_relu_gradient(
    dy: Array, y: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float
) -> Array:
    dsum = relu_gradient(dy, y)
    return *batch_norm_gradient(dsum, x, gamma, mean, variance, eps=eps), dsum


# ---- shortcut and pooling --------------------------------------------------------------------------------------------
@oracle
def pad_shortcut(x: Array, *, channels: int, stride: int) -> Array:
    return np.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, channels - x.shape[3])))


@oracle
def pad_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int) -> Array:
    dx = np.zeros(shape)
    dx[:, ::stride, ::stride] = dy[..., : shape[3]]
    return dx


@oracle
def max_pool2d(x: Array, *, kernel: int, stride: int, padding: int) -> Array:
    n, h, w, c = x.shape
    high, wide = ((size + 2 * padding - kernel) // stride + 1 for size in (h, w))
    y, place = np.empty((n, high, wide, c)), np.empty((n, high, wide, c), np.int64)
    for b, i, j, k in np.ndindex(*y.shape):
        window = [
            (x[b, p, q, k], -((p * w + q) * c + k))  # the first of equal values wins
            for p in range(max(i * stride - padding, 0), min(i * stride - padding + kernel, h))
            for q in range(max(j * stride - padding, 0), min(j * stride - padding + kernel, w))
        ]
        y[b, i, j, k], negative_place = max(window)
        place[b, i, j, k] = -negative_place
    return y, place


@oracle
def max_pool2d_gradient(dy: Array, place: Array, *, shape: tuple[int, ...]) -> Array:
    dx = np.zeros((shape[0], math.prod(shape[1:])))
    for i in np.ndindex(*dy.shape):
        dx[i[0], place[i]] += dy[i]
    return dx.reshape(shape)


@oracle
def max_pool2d_gather(x: Array, place: Array) -> Array:
    return np.array([x[i[0]].ravel()[place[i]] for i in np.ndindex(*place.shape)]).reshape(place.shape)


@oracle
def global_avg_pool(x: Array) -> Array:
    return x.mean((1, 2))


@oracle
def global_avg_pool_gradient(dy: Array, *, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape) + dy[:, None, None, :] / (shape[1] * shape[2])


# ---- loss, update, input ---------------------------------------------------------------------------------------------
@oracle
def softmax_cross_entropy(logits: Array, labels: Array) -> Array:
    p = softmax(logits, axis=1)
    return np.mean([-math.log(p[n, k]) for n, k in enumerate(labels)])


@oracle
def softmax_cross_entropy_gradient(dloss: Array, logits: Array, labels: Array) -> Array:
    return dloss * (softmax(logits, axis=1) - np.eye(logits.shape[1])[labels]) / len(labels)


@oracle
def sgd(
    w: Array, v: Array, g: Array, *, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> tuple[Array, Array]:
    g = g + weight_decay * w
    v = momentum * v + g
    return w - lr * (g + momentum * v if nesterov else v), v


@oracle
def augment(
    images: Array, index: Array, mean: Array, top: Array, left: Array, flip: Array, *, scale: float, padding: int
) -> Array:
    y = []
    for i, t, s, mirrored in zip(index, top, left, flip, strict=True):
        image = np.pad(images[i] * scale - mean, ((padding, padding), (padding, padding), (0, 0)))
        crop = image[t : t + mean.shape[0], s : s + mean.shape[1]]
        y.append(crop[:, ::-1] if mirrored else crop)
    return np.array(y).reshape(len(index), *mean.shape)
