"""Three things that tinyres does not have: decoupled decay, clipping by norm, smoothed labels."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def sgd_decoupled(
    w: Array, v: Array, g: Array, *, lr: float, momentum: float, weight_decay: float, out: tuple[Array, Array]
) -> None:
    """A step of gradient descent with momentum and decoupled weight decay: new w and new v into out, all [P].

    The velocity is that of the gradient alone. The weights move against it by `lr` times the velocity, and shrink by
    `lr * weight_decay` times what they were *before* this step. Source: Loshchilov, Hutter, "Decoupled Weight Decay
    Regularization", 2017.
    """
    new_w, new_v = out
    # BEGIN SOLUTION sgd.decoupled
    # STEP the velocity of the gradient alone, then the weights, which move and shrink
    velocity = momentum * v + g
    new_w[...] = (1 - lr * weight_decay) * w - lr * velocity
    new_v[...] = velocity
    # END SOLUTION


def clip_by_norm(g: Array, *, most: float, out: Array) -> None:
    """The gradient, made shorter if its Euclidean norm is above `most`, its direction kept: [P] -> [P].

    A gradient of a norm up to `most` stays what it is, that of zeros too. Source: Pascanu, Mikolov, Bengio, "On the
    difficulty of training recurrent neural networks", 2013.
    """
    # BEGIN SOLUTION sgd.clip
    # STEP the norm of the whole array, one number, and the factor that it calls for
    norm = float(np.sqrt(np.square(g, dtype=np.float64).sum()))
    np.multiply(g, most / norm if norm > most else 1.0, out=out)
    # END SOLUTION


def smoothed_gradient(dloss: Array, logits: Array, labels: Array, *, smoothing: float, out: Array) -> None:
    """The gradient by the logits of softmax cross-entropy with smoothed labels: [], [N, K], [N] -> [N, K].

    The target of a sample is 1 - smoothing on its label, and in addition smoothing / K on each of the K classes, its
    label included. As before the loss is the mean over the N samples, and `dloss` is the gradient that comes in.
    Source: Szegedy et al., "Rethinking the Inception Architecture", 2015, section 7.
    """
    # BEGIN SOLUTION loss.smoothed
    # STEP softmax less target, times the incoming gradient, for the mean over N
    e = np.exp(logits - logits.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True) - smoothing / logits.shape[1]
    p[np.arange(len(labels)), labels] -= 1 - smoothing
    out[...] = p * (dloss / len(labels))
    # END SOLUTION
