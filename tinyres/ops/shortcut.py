"""Option A of the paper's shortcuts, for where a block halves the image and doubles the channels.

    y[n, i, j, c] = x[n, i*stride, j*stride, c]  for c < C,   0 for the channels beyond

It has no parameters; its derivative puts the gradient back on the pixels that were taken. Linear, and so is its
gradient: each is the other's derivative. Source: He et al. 2015, section 3.3; the zeros are appended after the
channels.
"""

from __future__ import annotations

from typing import Any

from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.tensor import Tensor


class PadShortcut(Function):
    op = "pad_shortcut"

    def __init__(self, channels: int, stride: int) -> None:
        self.channels, self.stride = channels, stride

    def forward(self, x: Array) -> Array:  # [N,H,W,C] -> [N,I,J,channels]
        return self.kernel(x, channels=self.channels, stride=self.stride)

    def backward(self, dy: Tensor) -> Tensor:
        return apply(PadShortcutGradient(self.shapes[0], self.stride), dy)


class PadShortcutGradient(Function):
    op = "pad_shortcut_gradient"

    def __init__(self, shape: tuple[int, ...], stride: int) -> None:
        self.shape, self.stride = shape, stride

    def forward(self, dy: Array) -> Array:  # [N,I,J,channels] -> [N,H,W,C]
        return self.kernel(dy, shape=self.shape, stride=self.stride)

    def backward(self, ddx: Tensor) -> Tensor:
        return pad_shortcut(ddx, self.shapes[0][3], self.stride)


def pad_shortcut(x: Any, channels: int, stride: int) -> Tensor:
    """Take every stride-th pixel and append zero channels.

    Parameters
    ----------
    x : Tensor, shape [N, H, W, C]
    channels : int
        Channels of the result, C or more.
    stride : int

    Returns
    -------
    Tensor, shape [N, ceil(H / stride), ceil(W / stride), channels]
    """
    return apply(PadShortcut(channels, stride), x)
