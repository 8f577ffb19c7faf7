"""Softmax cross-entropy with integer labels, mean over the batch.

L = 1/N sum_n ( log sum_k exp(z[n,k]) - z[n, label[n]] )
dL/dz = (p - onehot) / N,   p = softmax(z)
and for its own derivative, with a cotangent v of dL/dz:   p (v - sum_k p v) / N
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.function import Function, apply
from tinyres.kernels.launch import Array, array_module, on_host
from tinyres.ops.activation import softmax
from tinyres.ops.elementwise import mul, sub
from tinyres.ops.reduce import mean, sum
from tinyres.ops.shape import getitem
from tinyres.tensor import Tensor, as_tensor


class SoftmaxCrossEntropy(Function):
    op, keeps = "softmax_cross_entropy", ("logits",)

    def __init__(self, labels: Array) -> None:
        self.labels = labels

    def forward(self, logits: Array) -> Array:  # [N,K] -> []
        return self.kernel(logits, self.labels)

    def backward(self, dloss: Tensor) -> Tensor:
        return apply(SoftmaxCrossEntropyGradient(self.labels), dloss, self.logits)


class SoftmaxCrossEntropyGradient(Function):
    op, keeps = "softmax_cross_entropy_gradient", ("dloss", "logits")

    def __init__(self, labels: Array) -> None:
        self.labels = labels

    def forward(self, dloss: Array, logits: Array) -> Array:  # [], [N,K] -> [N,K]
        return self.kernel(dloss, logits, self.labels)

    def backward(self, v: Tensor) -> tuple[Tensor, Tensor]:
        p = softmax(self.logits)
        expected = sum(mul(p, v), 1, keepdims=True)  # [N,1]
        own = getitem(v, (np.arange(len(self.labels)), on_host(self.labels)))  # [N]
        dlogits = mul(mul(p, sub(v, expected)), mul(self.dloss, 1 / len(self.labels)))
        return mean(sub(expected.reshape(-1), own)), dlogits


def softmax_cross_entropy(logits: Any, labels: Any) -> Tensor:
    """Mean cross-entropy of a batch, in natural logarithms.

    Parameters
    ----------
    logits : Tensor, shape [N, K]
    labels : ndarray or Tensor of int, shape [N]
        Classes 0 to K - 1.

    Returns
    -------
    Tensor, a single value

    Raises
    ------
    ShapeError
        Labels of another number or out of range, with the position of the first.
    """
    logits = as_tensor(logits)
    array = labels.data if isinstance(labels, Tensor) else array_module(logits.data).asarray(labels)
    return apply(SoftmaxCrossEntropy(array), logits)
