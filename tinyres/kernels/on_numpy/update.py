"""The update of stochastic gradient descent, over one flat buffer of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.blocks import blocks
from tinyres.kernels.registry import kernel

Array = Any


@kernel("sgd", "numpy")
def sgd(
    w: Array,
    v: Array,
    g: Array,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    out: tuple[Array, Array],
) -> None:
    """G' = g + weight_decay*w;  v' = momentum*v + g';  w' = w - lr*v', or w - lr*(g' + momentum*v') after Nesterov.

    `out` may be (w, v) themselves: each value is read before it is written.
    """
    new_w, new_v = out
    # BEGIN SOLUTION sgd.update
    # STEP the gradient with the decay of the weights, and the new velocity
    # STEP a step of the learning rate along the velocity, or along Nesterov's look-ahead
    for part in blocks(len(w), w.itemsize):
        gradient = g[part] + weight_decay * w[part]
        velocity = momentum * v[part] + gradient
        step = gradient + momentum * velocity if nesterov else velocity
        np.subtract(w[part], lr * step, out=new_w[part])
        new_v[part] = velocity
    # END SOLUTION
