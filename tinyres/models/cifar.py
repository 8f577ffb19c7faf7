"""The CIFAR nets of He et al. 2015, section 4.2, residual and plain: 6n + 2 layers.

    3x3 convolution, 16 filters                            32x32
    n blocks of two 3x3 convolutions, 16 filters           32x32
    n blocks, 32 filters, the first with stride 2          16x16
    n blocks, 64 filters, the first with stride 2          8x8
    global average pool, fully connected layer

Parameters with option A, 3 input channels and 10 classes: 269,722 (20 layers), 464,154 (32), 658,586 (44), 853,018
(56), 1,727,962 (110), 19,421,274 (1202). Option B adds 2,752.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.errors import ConfigError
from tinyres.nn.blocks import SHORTCUTS, BasicBlock
from tinyres.nn.layers import BatchNorm2d, Conv2d, Linear, Sequential
from tinyres.nn.module import Module
from tinyres.nn.recompute import RecomputedSequential
from tinyres.tensor import Tensor

WIDTHS = (16, 32, 64)


class CifarNet(Module):
    """A residual or plain net of 6n + 2 layers: images [N, H, W, C] -> logits [N, K].

    Parameters
    ----------
    depth : int
        6n + 2 for a whole n of 1 or more.
    shortcut : {"A", "B", "C", "none"}
        See `nn.blocks`; "none" is the plain net.
    num_classes, in_channels : int
        K and C.
    seed : int
        Of the initial weights.
    recompute : bool
        Keep of each block only its input, and run the block again in the backward pass (see `nn.recompute`): a third
        of the memory or less, for the time of a second forward pass, with the same results.

    Raises
    ------
    ConfigError
        A depth that is not 6n + 2, an unknown shortcut, no classes or no channels.
    """

    def __init__(
        self,
        depth: int,
        *,
        shortcut: str = "A",
        num_classes: int = 10,
        in_channels: int = 3,
        seed: int = 0,
        recompute: bool = False,
    ) -> None:
        n, remainder = divmod(depth - 2, 6)
        if remainder or n < 1:
            below = 6 * max(1, n) + 2
            raise ConfigError(
                f"a CIFAR net has 6n + 2 layers and {depth} is not such a number; nearest: {below}, {below + 6}."
            )
        for said, number in (("num_classes", num_classes), ("in_channels", in_channels)):
            if number < 1:
                raise ConfigError(f"{said} is {number}; 1 or more are wanted.")
        if shortcut not in SHORTCUTS:
            raise ConfigError(f"there is no shortcut {shortcut!r}; known: {', '.join(SHORTCUTS)}.")
        rng = np.random.default_rng(seed)
        self.conv1 = Conv2d(in_channels, WIDTHS[0], 3, padding=1, normed=True, rng=rng)
        self.bn1 = BatchNorm2d(WIDTHS[0])
        before = WIDTHS[0]
        for stage, width in enumerate(WIDTHS, 1):
            blocks = []
            for position in range(n):
                stride = 2 if stage > 1 and position == 0 else 1
                blocks.append(BasicBlock(before, width, stride=stride, shortcut=shortcut, rng=rng))
                before = width
            setattr(self, f"layer{stage}", (RecomputedSequential if recompute else Sequential)(*blocks))
        self.fc = Linear(before, num_classes, rng=rng)

    def forward(self, x: Any) -> Tensor:
        """[N, H, W, C] -> [N, K]."""
        x = self.bn1(self.conv1(x), relu=True)
        for stage in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{stage}")(x)
        logits: Tensor = self.fc(ops.global_avg_pool(x))
        return logits
