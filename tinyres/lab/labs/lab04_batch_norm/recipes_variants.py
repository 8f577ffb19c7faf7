"""Known mistakes of the two variants: group norm, and the gradients for channels first."""

from __future__ import annotations

import numpy as np

from tinyres.lab.labs.lab04_batch_norm.recipes_backward import INPUT, PARAMETERS, known
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array


def _misread(x: Array) -> Array:
    """[N, C, H, W] whose values lie where a reshape to [N, H, W, C] sees them."""
    n, channels, h, w = x.shape
    return np.moveaxis(x.reshape(n, h, w, channels), -1, 1)


GROUP = (
    *known(
        "eps outside the root",
        "no eps",
        "no root",
        "not centred",
        "gamma forgotten",
        "beta forgotten",
        "beta scaled too",
    ),
    told(
        "one group",
        "all channels are one group: that is layer norm",
        slip(group=lambda channel, size, groups: 0),
    ),
    told(
        "a group for each channel",
        "each channel is a group of its own: that is instance norm",
        slip(group=lambda channel, size, groups: channel),
    ),
    told(
        "every so-many-th channel",
        "channel c belongs to group c modulo the number of groups: the channels of a group are neighbours",
        slip(group=lambda channel, size, groups: channel % groups),
    ),
    told(
        "size for number",
        "`groups` is taken for the number of channels in a group: it is the number of groups",
        slip(group=lambda channel, size, groups: channel // groups),
    ),
    told(
        "over the batch",
        "the statistics of a group go over all samples: each sample has its own",
        slip(group_block=lambda x, n: x),
    ),
    told(
        "variance of n-1",
        "the sum of squares is divided by one less than the number of values: the biased variance is wanted",
        slip(group_variance=lambda block: block.var() * block.size / max(block.size - 1, 1)),
    ),
)

WHEREVER = (
    "no mean path",
    "no variance path",
    "statistics taken as constants",
    "gamma forgotten",
    "sums for means",
    "divided by the samples",
)
CHANNELS_FIRST = (
    *(recipe for recipe in PARAMETERS if recipe.name in ("dbeta averaged", "dgamma averaged", "both averaged")),
    told(
        "reshaped, not moved",
        "x and dy are taken for channels last by a reshape: the axis of the channels has to move",
        lambda case: case.but({name: _misread(case.arrays[name]) for name in ("dy", "x")}),
    ),
    told(
        "dx with channels last",
        "dx is taken for [N, H, W, C] and only reshaped: the axis of the channels has to move",
        after=lambda results, case: {**results, "dx": np.moveaxis(results["dx"], 1, -1).reshape(results["dx"].shape)},
    ),
    *(recipe for recipe in INPUT if recipe.name in WHEREVER),
)
