"""Small fully connected nets, plain and residual, in which one layer is one matrix: the nets of the lessons.

    stem          h = x W_0
    plain         h <- F(h)                             shortcut 0
    residual      h <- shortcut * h + scale * F(h)      shortcut 1 is the identity
    branch        F(h) = relu(BN h) W, or several of these one after the other
    head          logits = relu(BN h) W + b

Plain and residual nets have the same parameters, so whatever differs between them is the shortcut's doing. The linear
stem stands before the first batch norm because that would blow up pixels that are nearly constant over the images.
The order inside a branch is that of He et al. 2016 ("Identity mappings"), SkipInit is De and Smith's (2020).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from tinyres import ops
from tinyres.errors import ConfigError
from tinyres.nn.init import DEFAULT_DTYPE, he_normal
from tinyres.nn.layers import BatchNorm2d, Linear, Sequential
from tinyres.nn.module import Module, Parameter, as_input
from tinyres.tensor import Tensor


class DenseLayer(Module):
    """relu(BN h) W, or relu(h) W without batch norm: [N, C] -> [N, F].

    Parameters
    ----------
    in_features, out_features : int
        C and F.
    batch_norm : bool
    gain : float
        What the He-normal weights are multiplied with.
    rng : numpy.random.Generator
        Where the weights come from.
    """

    def __init__(
        self, in_features: int, out_features: int, *, batch_norm: bool, gain: float, rng: np.random.Generator
    ) -> None:
        if batch_norm:
            self.bn = BatchNorm2d(in_features)
        self.weight = Parameter((he_normal(rng, (in_features, out_features)) * gain).astype(DEFAULT_DTYPE))

    def forward(self, h: Any) -> Tensor:
        """[N, C] -> [N, F]."""
        active = self.bn(h, relu=True) if "bn" in vars(self) else ops.relu(h)
        return ops.matmul(active, self.weight)


class DenseUnit(Module):
    """shortcut * h + scale * F(h): [N, C] -> [N, C].

    Attributes
    ----------
    branch : Sequential of DenseLayer
        F.
    shortcut : float
        0 leaves F(h) alone: a plain net's unit.
    scale : float
        A number that stays as it is; 1 with SkipInit.
    alpha : Parameter, shape [1]
        With SkipInit only: the learned factor of F, 0 at first.
    """

    def __init__(self, branch: Sequential, *, shortcut: float, scale: float | Literal["skipinit"]) -> None:
        self.branch, self.shortcut = branch, shortcut
        self.scale = 1.0 if scale == "skipinit" else float(scale)
        if scale == "skipinit":
            self.alpha = Parameter(np.zeros(1, DEFAULT_DTYPE))

    def forward(self, h: Any) -> Tensor:
        """[N, C] -> [N, C]."""
        h = as_input(h)
        change: Tensor = self.branch(h)
        if "alpha" in vars(self):
            change = ops.mul(change, self.alpha)
        elif self.scale != 1.0:
            change = ops.mul(change, self.scale)
        if self.shortcut == 0.0:
            return change
        return ops.add(h if self.shortcut == 1.0 else ops.mul(h, self.shortcut), change)


class DenseNet(Module):
    """A stack of equally wide units between a linear stem and a linear head: [N, inputs] -> logits [N, K].

    Parameters
    ----------
    units : int
        How many; the net has ``units * branch + 2`` layers of weights.
    width : int
        Features of the stream h.
    inputs, num_classes : int
        Features of x, and K.
    shortcut : float
        Factor of the shortcut: 1 for residual nets, 0 for plain ones, anything else for nets in between.
    scale : float or "skipinit"
        Factor of the branch; "skipinit" learns one for each unit, which starts at 0.
    batch_norm : bool
        Before each ReLU.
    branch : int
        Layers in a branch.
    gain : float
        Factor of the initial weights of the units: 1 is He's initialisation.
    seed : int
        Of the initial weights.

    Raises
    ------
    ConfigError
        No units, no layers in a branch, no features, factors that are not finite, or a gain that is not positive.

    Examples
    --------
    >>> net = DenseNet(54, shortcut=0.0)
    >>> sum(p.size for p in net.parameters()) == sum(p.size for p in DenseNet(54).parameters())
    True
    """

    def __init__(
        self,
        units: int,
        *,
        width: int = 64,
        inputs: int = 64,
        num_classes: int = 10,
        shortcut: float = 1.0,
        scale: float | Literal["skipinit"] = 1.0,
        batch_norm: bool = True,
        branch: int = 1,
        gain: float = 1.0,
        seed: int = 0,
    ) -> None:
        counts = {"units": units, "width": width, "inputs": inputs, "num_classes": num_classes, "branch": branch}
        for said, number in counts.items():
            if number < 1:
                raise ConfigError(f"DenseNet: {said} is {number}; 1 or more are wanted.")
        if isinstance(scale, str) and scale != "skipinit":
            raise ConfigError(f'DenseNet: scale is {scale!r}; a number or "skipinit" is wanted.')
        for said, factor in {"shortcut": shortcut, "scale": scale, "gain": gain}.items():
            if not isinstance(factor, str) and not math.isfinite(factor):
                raise ConfigError(f"DenseNet: {said} is {factor}; a finite number is wanted.")
        if gain <= 0:
            raise ConfigError(f"DenseNet: gain is {gain}; a number above 0 is wanted.")
        rng = np.random.default_rng(seed)
        self.stem = Parameter(he_normal(rng, (inputs, width)))
        layer: dict[str, Any] = {"batch_norm": batch_norm, "gain": gain, "rng": rng}
        self.units = Sequential(
            *(
                DenseUnit(
                    Sequential(*(DenseLayer(width, width, **layer) for _ in range(branch))),
                    shortcut=shortcut,
                    scale=scale,
                )
                for _ in range(units)
            )
        )
        if batch_norm:
            self.bn = BatchNorm2d(width)
        self.fc = Linear(width, num_classes, rng=rng)
        self.flatten()

    def forward(self, x: Any) -> Tensor:
        """[N, inputs] -> [N, K]."""
        h = self.units(ops.matmul(as_input(x), self.stem))
        logits: Tensor = self.fc(self.bn(h, relu=True) if "bn" in vars(self) else ops.relu(h))
        return logits
