"""The residual block of He et al. 2015: two 3x3 convolutions with batch norm, and a shortcut around them.

    y = relu( bn(conv(relu(bn(conv(x))))) + shortcut(x) )

Where a block changes the number of channels (and then halves the image), the shortcut must change too:

    A      every second pixel, zeros for the new channels; no parameters
    B      a 1x1 convolution with batch norm there, the identity elsewhere
    C      a 1x1 convolution with batch norm in every block
    none   no shortcut at all: the plain net's block
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.nn.layers import BatchNorm2d, Conv2d, Sequential
from tinyres.nn.module import Module, as_input
from tinyres.tensor import Tensor

SHORTCUTS = ("A", "B", "C", "none")


class PadShortcut(Module):
    """Option A as a Module; see `ops.pad_shortcut`."""

    def __init__(self, channels: int, *, stride: int) -> None:
        self.channels, self.stride = channels, stride

    def forward(self, x: Any) -> Tensor:
        """[N, H, W, C] -> [N, I, J, channels]."""
        return ops.pad_shortcut(x, self.channels, self.stride)


class BasicBlock(Module):
    """Two 3x3 convolutions and a shortcut: [N, H, W, C] -> [N, H / stride, W / stride, F].

    Parameters
    ----------
    in_channels, out_channels : int
        C and F.
    stride : int
        Of the first convolution and of the shortcut.
    shortcut : {"A", "B", "C", "none"}
    rng : numpy.random.Generator
        Where the weights come from.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, shortcut: str, rng: np.random.Generator
    ) -> None:
        self.conv1 = Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, normed=True, rng=rng)
        self.bn1 = BatchNorm2d(out_channels)
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1, normed=True, rng=rng)
        self.bn2 = BatchNorm2d(out_channels)
        self.residual = shortcut != "none"
        changes = stride != 1 or in_channels != out_channels
        if shortcut == "C" or (shortcut == "B" and changes):
            projection = Conv2d(in_channels, out_channels, 1, stride=stride, normed=True, rng=rng)
            self.downsample: Module = Sequential(projection, BatchNorm2d(out_channels))
        elif shortcut == "A" and changes:
            self.downsample = PadShortcut(out_channels, stride=stride)

    def forward(self, x: Any) -> Tensor:
        """[N, H, W, C] -> [N, I, J, F]."""
        x = as_input(x)
        branch = self.conv2(self.bn1(self.conv1(x), relu=True))
        if not self.residual:
            y: Tensor = self.bn2(branch, relu=True)
        else:
            y = self.bn2(branch, relu=True, shortcut=self.downsample(x) if "downsample" in vars(self) else x)
        return y
