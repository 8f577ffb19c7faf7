"""Four shortcuts that tinyres does not have."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def pad_channels_first(x: Array, *, channels: int, stride: int, out: Array) -> None:
    """Option A where the channels come first: [N,C,H,W] -> [N,channels,I,J]; zeros after the C channels of x."""
    # BEGIN SOLUTION variant.channels_first
    out[:, : x.shape[1]] = x[:, :, ::stride, ::stride]
    out[:, x.shape[1] :] = 0
    # END SOLUTION


def average_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int, out: Array) -> None:
    """The gradient of x, of this shape, for a shortcut that averages: [N,I,J,channels] -> [N,H,W,C].

    The shortcut is y[n, i, j, c] = the mean of the stride x stride pixels of x that begin at (i*stride, j*stride), for
    c < C, and 0 for the channels beyond. H and W are multiples of the stride. Source: He et al. (another He), "Bag of
    Tricks", 2019, ResNet-D.
    """
    # BEGIN SOLUTION variant.average_gradient
    # STEP how much does y change if one pixel of x changes by 1?
    share = dy[..., : shape[3]] / stride**2
    out[...] = share.repeat(stride, axis=1).repeat(stride, axis=2)
    # END SOLUTION


def scaled_shortcut_gradient(
    dy: Array, y: Array, shortcut: Array, scale: Array, *, out: tuple[Array, Array, Array]
) -> None:
    """Gradients of y = relu(branch + scale * shortcut), where scale [1] is a number that is learned.

    dy, y, shortcut [N,H,W,C], scale [1] -> gradients of branch [N,H,W,C], shortcut [N,H,W,C] and scale [1]. He et al.
    2016 tried such factors ("Identity mappings", section 3) and found none better than 1.
    """
    dbranch, dshortcut, dscale = out
    # BEGIN SOLUTION variant.scaled_gradient
    # STEP all three begin with the gradient that arrives at the sum
    dbranch[...] = np.where(y > 0, dy, 0)
    dshortcut[...] = scale * dbranch
    dscale[...] = np.sum(dbranch * shortcut)
    # END SOLUTION


def preactivation_gradient(dy: Array, x: Array, w1: Array, w2: Array, *, out: Array) -> None:
    """The gradient of x for the block of He et al. 2016, in which ReLU comes first: nothing stands on the shortcut.

        y = x + relu(relu(x) w1) w2            [N,H,W,C], [C,M], [M,C]

    dy, x [N,H,W,C], w1 [C,M], w2 [M,C] -> [N,H,W,C]. Nothing was kept but x: what you need of the way forward you
    compute again.
    """
    # BEGIN SOLUTION variant.preactivation
    # STEP along the branch: w2, the inner ReLU, w1, the first ReLU
    # STEP along the shortcut there is nothing to multiply by
    inside = np.maximum(x, 0) @ w1
    through = ((dy @ w2.T) * (inside > 0)) @ w1.T
    out[...] = dy + through * (x > 0)
    # END SOLUTION
