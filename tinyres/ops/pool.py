"""Pooling.

    max_pool2d:       y[n,i,j,c] = max of x[n,.,.,c] over a window; its gradient goes to where the maximum stood
    global_avg_pool:  y[n,c] = mean over all pixels of x[n,.,.,c]

With the places of the maxima held fixed max pooling is linear: reading there (`gather`) and adding there (its
gradient) are each other's derivative. So are the average and its spreading.
"""

from __future__ import annotations

from typing import Any

from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.ops.reduce import mean
from tinyres.tensor import Tensor


class MaxPool2d(Function):
    op, saves = "max_pool2d", ("place",)

    def __init__(self, **geometry: int) -> None:
        self.geometry = geometry

    def forward(self, x: Array) -> Array:  # [N,H,W,C] -> [N,I,J,C]
        y, self.place = self.kernel(x, **self.geometry)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        return apply(MaxPool2dGradient(self.place, self.shapes[0]), dy)


class MaxPool2dGradient(Function):
    op, saves = "max_pool2d_gradient", ("place",)

    def __init__(self, place: Array, shape: tuple[int, ...]) -> None:
        self.place, self.shape = place, shape

    def forward(self, dy: Array) -> Array:  # [N,I,J,C] -> [N,H,W,C]
        return self.kernel(dy, self.place, shape=self.shape)

    def backward(self, ddx: Tensor) -> Tensor:
        return apply(MaxPool2dGather(self.place), ddx)


class MaxPool2dGather(Function):
    op, saves = "max_pool2d_gather", ("place",)

    def __init__(self, place: Array) -> None:
        self.place = place

    def forward(self, x: Array) -> Array:  # [N,H,W,C] -> [N,I,J,C]
        return self.kernel(x, self.place)

    def backward(self, dy: Tensor) -> Tensor:
        return apply(MaxPool2dGradient(self.place, self.shapes[0]), dy)


class GlobalAvgPool(Function):
    op = "global_avg_pool"

    def forward(self, x: Array) -> Array:  # [N,H,W,C] -> [N,C]
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return apply(GlobalAvgPoolGradient(self.shapes[0]), dy)


class GlobalAvgPoolGradient(Function):
    op = "global_avg_pool_gradient"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, dy: Array) -> Array:  # [N,C] -> [N,H,W,C]
        return self.kernel(dy, shape=self.shape)

    def backward(self, ddx: Tensor) -> Tensor:
        return mean(ddx, (1, 2))


def max_pool2d(x: Any, kernel: int, stride: int | None = None, padding: int = 0) -> Tensor:
    """Largest value of each window.

    Parameters
    ----------
    x : Tensor, shape [N, H, W, C]
    kernel : int
        Height and width of the window.
    stride : int, optional
        The window's by default.
    padding : int
        Border that no maximum is taken from; at most half the window.

    Returns
    -------
    Tensor, shape [N, I, J, C]
        I = floor((H + 2 padding - kernel) / stride) + 1, and J likewise.
    """
    return apply(MaxPool2d(kernel=kernel, stride=kernel if stride is None else stride, padding=padding), x)


def global_avg_pool(x: Any) -> Tensor:
    """Mean over the pixels: [N, H, W, C] -> [N, C]."""
    return apply(GlobalAvgPool(), x)
