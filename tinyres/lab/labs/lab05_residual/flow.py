"""The experiment: how long is the gradient, layer for layer, on its way back through a deep stack?

    layer      F(h) = relu(h) w        or  relu(BN(h)) w  with batch norm     [N,C] [C,C] -> [N,C]
    plain      h_l = F(h_{l-1})
    residual   h_l = h_{l-1} + F(h_{l-1})

for l = 1 ... L, with weights of its own for each layer. `experiment.py` draws what the functions below find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.batch_norm import batch_norm
from tinyres.kernels.on_numpy.batch_norm_gradient import batch_norm_gradient

Array = Any
EPS = 1e-5


def normalised(h: Array) -> tuple[Array, Array, Array]:
    """BN(h) with gamma 1 and beta 0, and the batch's mean and variance: [N,C] -> [N,C], [C], [C]."""
    gamma, beta = np.ones_like(h[0]), np.zeros_like(h[0])
    found = np.empty_like(h), np.empty_like(h[0]), np.empty_like(h[0])
    batch_norm(h, gamma, beta, eps=EPS, out=found)
    return found


def normalised_gradient(dz: Array, h: Array) -> Array:
    """The gradient of h from that of z = BN(h): [N,C], [N,C] -> [N,C]."""
    _, mean, variance = normalised(h)
    dh, dgamma, dbeta = np.empty_like(h), np.empty_like(mean), np.empty_like(mean)
    batch_norm_gradient(dz, h, np.ones_like(mean), mean, variance, eps=EPS, out=(dh, dgamma, dbeta))
    return dh


def layer(h: Array, w: Array, *, normed: bool) -> Array:
    """F(h): [N,C], [C,C] -> [N,C]. With `normed`, batch norm comes first."""
    # BEGIN SOLUTION flow.layer
    z = normalised(h)[0] if normed else h
    return np.maximum(z, 0) @ w
    # END SOLUTION


def layer_gradient(dy: Array, h: Array, w: Array, *, normed: bool) -> Array:
    """The gradient of h from that of y = F(h): [N,C], [N,C], [C,C] -> [N,C]."""
    # BEGIN SOLUTION flow.layer_gradient
    # STEP back through the product, then through the ReLU: what went into it decides
    # STEP with batch norm, back through that too
    z = normalised(h)[0] if normed else h
    dz = (dy @ w.T) * (z > 0)
    return normalised_gradient(dz, h) if normed else dz
    # END SOLUTION


def gradient_norms(
    x: Array,
    weights: Sequence[Array],
    dy: Array,
    forward: Callable[[Array, Array], Array],
    backward: Callable[[Array, Array, Array], Array],
    *,
    shortcut: bool,
) -> Array:
    """Norms of the gradients at h_0, h_1 ... h_L of a stack of L layers.

    Parameters
    ----------
    x : array, shape [N, C]
        h_0, the stack's input.
    weights : sequence of L arrays, shape [C, C]
        The first layer's first.
    dy : array, shape [N, C]
        The gradient at h_L, the stack's output.
    forward, backward : callable
        A layer and its gradient: ``forward(h, w)`` is F(h), ``backward(dy, h, w)`` the gradient of its input h.
    shortcut : bool
        Residual or plain.

    Returns
    -------
    array, shape [L + 1]
        The root of the sum of the squares of the gradient at h_l, for l = 0 ... L.
    """
    # BEGIN SOLUTION flow.norms
    # STEP forward, and keep the input of every layer
    # STEP backward from the last layer to the first: how does the gradient at h_{l-1} follow from that at h_l?
    inputs = [x]
    for w in weights:
        branch = forward(inputs[-1], w)
        inputs.append(inputs[-1] + branch if shortcut else branch)
    gradient, norms = dy, [np.linalg.norm(dy)]
    for h, w in zip(inputs[-2::-1], weights[::-1], strict=True):
        through = backward(gradient, h, w)
        gradient = gradient + through if shortcut else through
        norms.append(np.linalg.norm(gradient))
    return np.array(norms[::-1])
    # END SOLUTION
