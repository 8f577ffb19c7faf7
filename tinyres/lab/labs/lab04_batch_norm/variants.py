"""Two norms that tinyres does not have."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.batch_norm_gradient import batch_norm_gradient

Array = Any


def group_norm(x: Array, gamma: Array, beta: Array, *, groups: int, eps: float, out: Array) -> None:
    """Group norm: [N, H, W, C], [C], [C] -> [N, H, W, C].

    The C channels fall into `groups` groups of C/groups neighbours: the first C/groups channels are the first group.
    Each sample normalises each group by the mean and the biased variance over its pixels and the channels of the
    group; no sample sees another one, so training and evaluation are the same. Gamma and beta belong to channels, as
    in batch norm. One group is layer norm, C groups are instance norm. Source: Wu, He, "Group Normalization", 2018.
    """
    # BEGIN SOLUTION bn.group
    # STEP an axis more, so that the channels of a group have one of their own
    # STEP its mean and its variance, and y as in batch norm
    grouped = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    centred = grouped - grouped.mean((1, 3), keepdims=True)
    xhat = centred / np.sqrt(np.square(centred).mean((1, 3), keepdims=True) + eps)
    out[...] = gamma * xhat.reshape(x.shape) + beta
    # END SOLUTION


def channels_first_gradient(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, *, eps: float, out: tuple[Array, Array, Array]
) -> None:
    """The gradients of batch norm for channels first: dx [N, C, H, W], dgamma [C] and dbeta [C] into out.

    Dy and x are [N, C, H, W]; gamma, mean and variance are [C]. Your own `batch_norm_gradient` may do the work.
    """
    dx, dgamma, dbeta = out
    # BEGIN SOLUTION bn.channels_first
    # STEP views of dy, x and dx with the channels last
    last = [np.moveaxis(array, 1, -1) for array in (dy, x, dx)]
    batch_norm_gradient(last[0], last[1], gamma, mean, variance, eps=eps, out=(last[2], dgamma, dbeta))
    # END SOLUTION
