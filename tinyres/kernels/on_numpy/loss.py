"""Softmax cross-entropy through the log of a sum of exponentials, from which the largest logit is taken first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel

Array = Any


@kernel("softmax_cross_entropy", "numpy")
def softmax_cross_entropy(logits: Array, labels: Array, *, out: Array) -> None:
    """Mean over n of log(sum_k exp(z[n,k])) - z[n, label[n]],  z = logits less their row's maximum."""
    z = logits - logits.max(1, keepdims=True)
    own = z[np.arange(len(labels)), labels]
    np.mean(np.log(np.exp(z).sum(1)) - own, out=out)


@kernel("softmax_cross_entropy_gradient", "numpy")
def softmax_cross_entropy_gradient(dloss: Array, logits: Array, labels: Array, *, out: Array) -> None:
    """Dloss * (softmax - one-hot) / N."""
    np.subtract(logits, logits.max(1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(1, keepdims=True)
    out[np.arange(len(labels)), labels] -= 1
    out *= dloss / len(labels)
