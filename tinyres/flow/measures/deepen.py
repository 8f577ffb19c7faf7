"""A plain net deepened by layers that do nothing: the solution whose existence the paper argues from.

    "There exists a solution by construction to the deeper model: the added layers are identity mapping, and the other
    layers are copied from the learned shallower model."   (He et al. 2015, section 1)

After a ReLU nothing is negative, so a plain block relu(bn(conv(relu(bn(conv(x)))))) is the identity if its filters copy
each channel, and its batch norms undo themselves: with mean m and variance v of the channel as running averages,

    gamma = sqrt(v + eps),  beta = m      =>      gamma (x - m) / sqrt(v + eps) + beta = x

In evaluation that is exact up to rounding. In training the statistics of each batch take the place of m and v, and
the block is the identity up to the difference between a batch and the whole.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.errors import ConfigError, ShapeError
from tinyres.flow.measures.state import unchanged
from tinyres.function import no_grad
from tinyres.models.cifar import WIDTHS, CifarNet
from tinyres.nn.blocks import BasicBlock
from tinyres.nn.layers import BatchNorm2d, Conv2d
from tinyres.nn.module import Module


def deepened(model: CifarNet, depth: int, images: Any) -> CifarNet:
    """Build a deeper plain net that computes what this one does: its blocks first, then identities, in each stage.

    Parameters
    ----------
    model : CifarNet
        A plain net; left as it was.
    depth : int
        Of the new net, 6n + 2.
    images : ndarray, shape [N, H, W, C]
        Give the means and variances of the channels, in evaluation mode.

    Returns
    -------
    CifarNet
        Of the model's dtype.

    Raises
    ------
    ConfigError
        A residual net or one of another kind, or a depth that is not larger.
    ShapeError
        No images.

    Examples
    --------
    >>> from tinyres import models
    >>> images = np.random.default_rng(0).standard_normal((4, 8, 8, 1)).astype(np.float32)
    >>> shallow = models.create("plain20", in_channels=1).eval()
    >>> deep = deepened(shallow, 56, images).eval()
    >>> bool(np.abs(deep(images).numpy() - shallow(images).numpy()).max() < 1e-4)
    True
    """
    if not isinstance(model, CifarNet):
        raise ConfigError(f"a {type(model).__name__} has no stages to deepen; give a plain net such as plain20.")
    if not len(images):
        raise ShapeError("there are no images to take means and variances from; give one or more.")
    stages = [_blocks(model, stage) for stage in range(1, len(WIDTHS) + 1)]
    if any(block.residual for block in stages[0]):
        raise ConfigError(
            "a residual net needs no identity layers, its blocks are identities at zero; give a plain one."
        )
    classes, channels = model.fc.weight.shape[1], model.conv1.weight.shape[2]
    deep = CifarNet(depth, shortcut="none", num_classes=classes, in_channels=channels).astype(model.fc.weight.dtype)
    if len(_blocks(deep, 1)) <= len(stages[0]):
        raise ConfigError(f"the net has {6 * len(stages[0]) + 2} layers already; a depth above that is wanted.")
    statistics = _stage_statistics(model, images)
    _copy(model, deep, ("conv1", "bn1", "fc"))
    for stage, (blocks, (mean, variance)) in enumerate(zip(stages, statistics, strict=True), 1):
        new = _blocks(deep, stage)
        for block, twin in zip(blocks, new, strict=False):
            _copy(block, twin, ("conv1", "bn1", "conv2", "bn2"))
        for block in new[len(blocks) :]:
            for convolution, norm in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
                make_identity(convolution, norm, mean, variance)
    return deep


def make_identity(convolution: Conv2d, norm: BatchNorm2d, mean: np.ndarray, variance: np.ndarray) -> None:
    """Let a 3x3 convolution and its batch norm hand on what they get, whose channels have this mean and variance."""
    side = convolution.weight.shape[0]
    convolution.weight.data[...] = 0
    np.einsum("cc->c", convolution.weight.data[side // 2, side // 2])[...] = 1
    norm.running_mean[...], norm.running_var[...] = mean, variance
    norm.weight.data[...], norm.bias.data[...] = np.sqrt(variance + norm.eps), mean


def _blocks(model: Module, stage: int) -> list[BasicBlock]:
    return [block for _, block in getattr(model, f"layer{stage}").children()]


def _copy(source: Module, target: Module, names: tuple[str, ...]) -> None:
    for name in names:
        getattr(target, name).load_state_dict(getattr(source, name).state_dict())


def _stage_statistics(model: Module, images: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of each channel after each stage, in evaluation mode."""
    found: list[tuple[np.ndarray, np.ndarray]] = []

    def note(_: Module, __: tuple[Any, ...], output: Any) -> None:
        values = output.numpy().reshape(math.prod(output.shape[:-1]), -1).astype(np.float64)
        found.append((values.mean(axis=0), values.var(axis=0)))

    removals = [getattr(model, f"layer{stage}").register_forward_hook(note) for stage in range(1, len(WIDTHS) + 1)]
    try:
        with unchanged(model), no_grad():
            model.eval()(images)
    finally:
        for remove in removals:
            remove()
    return found
