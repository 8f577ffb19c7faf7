"""A residual block, as small as it can be: two layers that work on each pixel alone, and the identity around them.

    hidden = relu(x w1)            [N,H,W,C] [C,M] -> [N,H,W,M]
    y      = relu(hidden w2 + x)   [N,H,W,M] [M,C] -> [N,H,W,C]

In the nets of the paper the two products are 3x3 convolutions, with batch norm after each. What a shortcut does to a
block and its gradients is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def block(x: Array, w1: Array, w2: Array, *, out: tuple[Array, Array]) -> None:
    """[N,H,W,C], [C,M], [M,C] -> hidden [N,H,W,M] and y [N,H,W,C]; both are kept for the way back."""
    hidden, y = out
    # BEGIN SOLUTION block.forward
    # STEP the first layer into hidden, and its ReLU
    # STEP the second layer, then the shortcut, and only then the ReLU
    np.maximum(x @ w1, 0, out=hidden)
    np.maximum(hidden @ w2 + x, 0, out=y)
    # END SOLUTION


def block_gradient(
    dy: Array, x: Array, hidden: Array, y: Array, w1: Array, w2: Array, *, out: tuple[Array, Array, Array]
) -> None:
    """Gradients of x, w1 and w2 from that of y; arguments as of `block`, dy of the shape of y."""
    dx, dw1, dw2 = out
    # BEGIN SOLUTION block.gradient
    # STEP through the last ReLU: this gradient arrives at the sum, and goes both ways
    # STEP back through the second layer, the first ReLU, the first layer; the two weights on the way
    # STEP x gets what came through the branch and what came along the shortcut
    dsum = dy * (y > 0)
    dhidden = (dsum @ w2.T) * (hidden > 0)
    channels, width = w1.shape
    dw2[...] = hidden.reshape(-1, width).T @ dsum.reshape(-1, channels)
    dw1[...] = x.reshape(-1, channels).T @ dhidden.reshape(-1, width)
    np.add(dhidden @ w1.T, dsum, out=dx)
    # END SOLUTION
