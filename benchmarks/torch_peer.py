"""PyTorch on the shapes of `tinyres bench`: `tinyres bench --peer benchmarks/torch_peer.py`.

Needs the `bench` extra. Convolutions run in oneDNN; images are channels last in memory, as ours are, so that nobody
pays for a change of layout (filters are laid out for PyTorch before the clock runs). Gradients of a convolution come
from the backward that PyTorch's autograd calls, with only the one gradient asked for. An op that PyTorch does not have
as one call (batch norm with ReLU) is what one writes for it there. As many threads as our kernels use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from tinyres.kernels.on_numba.threads import thread_count

NAME = f"torch {torch.__version__.partition('+')[0]}"
Call = Callable[[], Any]
Read = Callable[[Any], Any]
aten = torch.ops.aten
torch.set_num_threads(thread_count())


def prepare(op: str, arrays: tuple[np.ndarray, ...], params: dict[str, Any]) -> tuple[Call, Read] | None:
    """What PyTorch calls to do an op, and how its results become ours; None for an op that is not here."""
    maker = MAKERS.get(op)
    if maker is None:
        return None
    call, read = maker(*arrays, **params)

    def quiet() -> Any:
        with torch.inference_mode():
            return call()

    return quiet, read


def image(x: np.ndarray) -> torch.Tensor:
    """[N, H, W, C] -> [N, C, H, W], the same memory."""
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def back(y: torch.Tensor) -> np.ndarray:
    """[N, C, H, W] -> [N, H, W, C]."""
    return y.permute(0, 2, 3, 1).numpy()


def filters(w: np.ndarray) -> torch.Tensor:
    """[R, S, C, F] -> [F, C, R, S], channels last."""
    return torch.from_numpy(w).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


def plain(y: Any) -> Any:
    """Results whose layout is ours already."""
    return tuple(part.numpy() for part in y) if isinstance(y, tuple) else y.numpy()


def conv2d(x, w, *, stride, padding, groups):
    x, w = image(x), filters(w)
    return lambda: F.conv2d(x, w, None, stride, (padding[0], padding[2]), 1, groups), back


def _convolution_backward(dy, x, w, stride, padding, groups, mask):
    sides = [padding[0], padding[2]]
    return lambda: aten.convolution_backward(
        dy, x, w, None, [stride] * 2, sides, [1, 1], False, [0, 0], groups, mask
    )  # fmt: skip


def conv2d_input(dy, w, *, shape, stride, padding, groups):
    x = image(np.zeros(shape, dy.dtype))  # only its shape counts
    call = _convolution_backward(image(dy), x, filters(w), stride, padding, groups, [True, False, False])
    return call, lambda y: back(y[0])


def conv2d_weight(x, dy, *, shape, stride, padding, groups):
    w = filters(np.zeros(shape, x.dtype))
    call = _convolution_backward(image(dy), image(x), w, stride, padding, groups, [False, True, False])
    return call, lambda y: y[1].permute(2, 3, 1, 0).numpy()


def _normalised(then: Callable[..., torch.Tensor]) -> Callable[..., tuple[Call, Read]]:
    def make(x, gamma, beta, *shortcut, eps):
        x, gamma, beta = image(x), torch.from_numpy(gamma), torch.from_numpy(beta)
        rest = [image(s) for s in shortcut]

        def call():
            y, mean, inv_std = torch.native_batch_norm(x, gamma, beta, None, None, True, 0.1, eps)
            return then(y, *rest), mean, inv_std

        return call, lambda y: (back(y[0]), y[1].numpy(), 1 / y[2].numpy().astype(np.float64) ** 2 - eps)

    return make


def batch_norm_eval(x, gamma, beta, mean, variance, *, eps):
    x, *vectors = image(x), *(torch.from_numpy(v) for v in (mean, variance, gamma, beta))
    return lambda: F.batch_norm(x, *vectors, False, 0.1, eps), back


def batch_norm_gradient(dy, x, gamma, mean, variance, *, eps):
    dy, x, gamma, mean = image(dy), image(x), torch.from_numpy(gamma), torch.from_numpy(mean)
    inv_std = torch.from_numpy(1 / np.sqrt(variance + variance.dtype.type(eps)))
    masks = [True, True, True]
    call = lambda: aten.native_batch_norm_backward(dy, x, gamma, None, None, mean, inv_std, True, eps, masks)  # noqa: E731
    return call, lambda y: (back(y[0]), y[1].numpy(), y[2].numpy())


def bn_relu_gradient(dy, x, gamma, beta, mean, variance, *, eps):
    """With the output that PyTorch would have kept: it is made here, outside the clock."""
    y = np.maximum((x - mean) * (gamma / np.sqrt(variance + variance.dtype.type(eps))) + beta, 0)
    return _fused_gradient(add=False)(dy, y, x, gamma, mean, variance, eps=eps)


def _fused_gradient(add: bool) -> Callable[..., tuple[Call, Read]]:
    def make(dy, y, x, gamma, mean, variance, *, eps):
        dy, y, x, gamma, mean = image(dy), image(y), image(x), torch.from_numpy(gamma), torch.from_numpy(mean)
        inv_std = torch.from_numpy(1 / np.sqrt(variance + variance.dtype.type(eps)))

        def call():
            dz = aten.threshold_backward(dy, y, 0)
            found = aten.native_batch_norm_backward(dz, x, gamma, None, None, mean, inv_std, True, eps, [True] * 3)
            return (*found, dz) if add else found

        read = lambda r: (back(r[0]), r[1].numpy(), r[2].numpy(), *(back(z) for z in r[3:]))  # noqa: E731
        return call, read

    return make


def _elementwise(function: Callable[..., Any]) -> Callable[..., tuple[Call, Read]]:
    def make(*arrays):
        tensors = [torch.from_numpy(a) for a in arrays]
        return lambda: function(*tensors), plain

    return make


def max_pool2d(x, *, kernel, stride, padding):
    shape, x = x.shape, image(x)

    def read(y):  # places: theirs count pixels, ours values of the image
        return back(y[0]), back(y[1]) * shape[3] + np.arange(shape[3])

    return lambda: F.max_pool2d(x, kernel, stride, padding, return_indices=True), read


def global_avg_pool(x):
    x = image(x)
    return lambda: x.mean((2, 3)), plain


def linear(x, w, b):
    x, w, b = torch.from_numpy(x), torch.from_numpy(w).T.contiguous(), torch.from_numpy(b)
    return lambda: F.linear(x, w, b), plain


def softmax_cross_entropy(logits, labels):
    logits, labels = torch.from_numpy(logits), torch.from_numpy(labels)
    return lambda: F.cross_entropy(logits, labels), plain


MAKERS: dict[str, Callable[..., tuple[Call, Read]]] = {
    "conv2d": conv2d,
    "conv2d_input": conv2d_input,
    "conv2d_weight": conv2d_weight,
    "batch_norm": _normalised(lambda y: y),
    "bn_relu": _normalised(torch.relu_),
    "bn_add_relu": _normalised(lambda y, shortcut: y.add_(shortcut).relu_()),
    "batch_norm_eval": batch_norm_eval,
    "batch_norm_gradient": batch_norm_gradient,
    "bn_relu_gradient": bn_relu_gradient,
    "bn_add_relu_gradient": _fused_gradient(add=True),
    "relu": _elementwise(torch.relu),
    "relu_gradient": _elementwise(lambda dy, y: aten.threshold_backward(dy, y, 0)),
    "add": _elementwise(torch.add),
    "add_relu": _elementwise(lambda a, b: (a + b).relu_()),
    "max_pool2d": max_pool2d,
    "global_avg_pool": global_avg_pool,
    "linear": linear,
    "softmax_cross_entropy": softmax_cross_entropy,
}
