"""One catalogue of networks by name."""

from __future__ import annotations

import re

from tinyres.errors import ConfigError, nearest
from tinyres.models.cifar import CifarNet
from tinyres.nn.module import Module

CIFAR = (*(f"resnet{d}" for d in (20, 32, 44, 56, 110, 1202)), *(f"plain{d}" for d in (20, 32, 44, 56, 110)))
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)  # 50 and 152 are 6n + 2 too: their names mean the ImageNet nets of the paper


def names() -> list[str]:
    """The names of the paper's nets; any other 6n + 2 works as well, as in `resnet26`."""
    return list(CIFAR)


def create(
    name: str,
    *,
    shortcut: str = "default",
    num_classes: int | None = None,
    in_channels: int = 3,
    seed: int = 0,
    recompute: bool = False,
) -> Module:
    """Build a network with fresh He-normal weights, its parameters in one flat buffer.

    Parameters
    ----------
    name : str
        ``resnet`` or ``plain`` and a depth of 6n + 2, such as ``"resnet20"``.
    shortcut : {"default", "A", "B", "C", "none"}
        Kind of shortcut (see `nn.blocks`): A by default, and none for plain nets, which have no other.
    num_classes : int, optional
        10 by default.
    in_channels : int
        3 for colour, 1 for grey.
    seed : int
        Of the initial weights.
    recompute : bool
        Keep less for the backward pass and compute it again there (see `nn.recompute`): the same results.

    Returns
    -------
    Module
        Takes images [N, H, W, in_channels], gives logits [N, num_classes].

    Raises
    ------
    ConfigError
        An unknown name (the nearest is offered), a depth or a shortcut that does not exist.

    Examples
    --------
    >>> from tinyres import models
    >>> sum(p.size for p in models.create("resnet20").parameters())
    269722
    """
    match = re.fullmatch(r"(resnet|plain)(\d+)", name)
    if match is None:
        raise ConfigError(f"there is no model {name!r}{nearest(name, names())}.")
    family, depth = match[1], int(match[2])
    if depth in IMAGENET_DEPTHS:
        raise ConfigError(f"{name} is an ImageNet net, which this version does not have; known: {', '.join(names())}.")
    if family == "plain" and shortcut not in ("default", "none"):
        raise ConfigError(f"{name} has no shortcuts; for shortcut {shortcut!r} use resnet{depth}.")
    if shortcut == "default":
        shortcut = "none" if family == "plain" else "A"
    return CifarNet(
        depth,
        shortcut=shortcut,
        num_classes=10 if num_classes is None else num_classes,
        in_channels=in_channels,
        seed=seed,
        recompute=recompute,
    ).flatten()
