"""Known mistakes of the two variants: group norm, and the gradients for channels first."""

from __future__ import annotations

import numpy as np

from tinyres.lab.labs.lab04_batch_norm.recipes_backward import INPUT, PARAMETERS, known
from tinyres.lab.labs.lab04_batch_norm.recipes_paths import TERMS
from tinyres.lab.labs.lab04_batch_norm.recipes_places import PLACES
from tinyres.lab.labs.steps import slip, told
from tinyres.lab.task import Array, Case, Results


def _misread(x: Array) -> Array:
    """[N, C, H, W] whose values lie where a reshape to [N, H, W, C] sees them."""
    n, channels, h, w = x.shape
    return np.moveaxis(x.reshape(n, h, w, channels), -1, 1)


def _taken_as_first(case: Case) -> Results:
    """Each sample's values in so many pieces as they lie in memory."""
    a, groups = case.arrays, case.params["groups"]
    x = a["x"].reshape(len(a["x"]), groups, -1)
    xhat = (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + case.params["eps"])
    return {"y": a["gamma"] * xhat.reshape(a["x"].shape) + a["beta"]}


IN_GROUPS = (
    "eps twice",
    "eps squared",
    "root twice",
    "not divided",
    "x for xhat",
    "distance turned",
    "gamma added",
    "gamma divides",
    "1 added to gamma",
    "gamma squared",
    "beta subtracted",
    "beta multiplies",
    "gamma for beta",
)
GROUP = (
    *known(
        "eps outside the root",
        "no eps",
        "no root",
        "not centred",
        "gamma forgotten",
        "beta forgotten",
        "beta scaled too",
        "eps of its own",
        "multiplied by the root",
        "mean added",
        "gamma and beta exchanged",
    ),
    *(recipe for recipe in PLACES if recipe.name in IN_GROUPS),
    told(
        "channels taken as first",
        "x is reshaped to [N, groups, -1]: channels are last here, so the values of a group do not lie together",
        instead=_taken_as_first,
    ),
    told(
        "every size-th channel",
        "the groups are made of every C/groups-th channel: the channels of a group are neighbours",
        slip(group=lambda channel, size, groups: channel % size),
    ),
    told(
        "deviation for variance",
        "the variance of a group is its standard deviation: the root is taken later",
        slip(group_variance=lambda block: block.std()),
    ),
    told(
        "variance not divided",
        "the variance of a group is the sum of the squared distances: their mean is wanted",
        slip(group_variance=lambda block: block.var() * block.size),
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
    "divided by M-1",
    "mean path added",
    "variance path added",
    "halved variance path",
    "xhat forgotten",
    "root forgotten",
    "divided twice",
    "eps outside the root",
    "no eps",
    "no root",
)
TERMS_WHEREVER = (
    "dy forgotten",
    "both paths added",
    "sign",
    "gamma squared",
    "gamma missing in the mean path",
    "gamma missing in the variance path",
    "gamma twice in the mean path",
    "gamma twice in the variance path",
    "mean path twice",
    "variance path twice",
    "divided by the channels",
    "divided by everything",
)
CHANNELS_FIRST = (
    *(recipe for recipe in TERMS if recipe.name in TERMS_WHEREVER),
    told(
        "count of the wrong axes",
        "M is taken for x.size / x.shape[-1]: with channels first the last axis is W, and M is N*H*W",
        slip(count=lambda x: x.size // x.shape[2]),
    ),
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
