"""Two-dimensional convolution, channels last (cross-correlation, as everywhere in deep learning).

    y[n, i, j, f] = sum over r, s, c of  x[n, i*stride + r - top, j*stride + s - left, c] * w[r, s, c, f]

It is linear in x and in w, and so are its two gradients. Each derivative of the three operations below is one of the
other two, hence gradients of every order come from three kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyres.errors import ShapeError
from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.kernels.registry import fuses, name_of
from tinyres.tensor import Tensor, as_tensor

Pair = tuple[Tensor | None, Tensor | None]


class _Convolution(Function):
    """What the three share: the geometry (stride, padding, groups)."""

    def __init__(self, **geometry: Any) -> None:
        self.geometry = geometry


class Conv2d(_Convolution):
    op, keeps = "conv2d", ("x", "w")

    def forward(self, x: Array, w: Array) -> Array:  # [N,H,W,C], [R,S,C,F] -> [N,I,J,F]
        return self.kernel(x, w, **self.geometry)

    def backward(self, dy: Tensor) -> Pair:
        return (
            conv2d_input(dy, self.w, self.x.shape, **self.geometry) if self.needs[0] else None,
            self._gradient_of_w(dy) if self.needs[1] else None,
        )

    def _gradient_of_w(self, dy: Tensor) -> Tensor:
        function = Conv2dWeight(shape=self.w.shape, **self.geometry)
        function.out = self.slot(1)
        return apply(function, self.x, dy)


class Conv2dStats(Conv2d):
    """The same, by a kernel that has mean and variance of each filter's results when it is done: for a batch norm."""

    op, name, saves = "conv2d_stats", "conv2d", ("moments",)

    def forward(self, x: Array, w: Array) -> Array:
        y, *self.moments = self.kernel(x, w, **self.geometry)
        return y


class Conv2dInput(_Convolution):
    op, keeps = "conv2d_input", ("dy", "w")

    def forward(self, dy: Array, w: Array) -> Array:  # [N,I,J,F], [R,S,C,F] -> [N,H,W,C]
        return self.kernel(dy, w, **self.geometry)

    def backward(self, ddx: Tensor) -> Pair:
        geometry = {k: v for k, v in self.geometry.items() if k != "shape"}
        return (
            conv2d(ddx, self.w, **geometry) if self.needs[0] else None,
            conv2d_weight(ddx, self.dy, self.w.shape, **geometry) if self.needs[1] else None,
        )


class Conv2dWeight(_Convolution):
    op, keeps = "conv2d_weight", ("x", "dy")

    def forward(self, x: Array, dy: Array) -> Array:  # [N,H,W,C], [N,I,J,F] -> [R,S,C,F]
        return self.kernel(x, dy, **self.geometry)

    def backward(self, ddw: Tensor) -> Pair:
        geometry = {k: v for k, v in self.geometry.items() if k != "shape"}
        return (
            conv2d_input(self.dy, ddw, self.x.shape, **geometry) if self.needs[0] else None,
            conv2d(self.x, ddw, **geometry) if self.needs[1] else None,
        )


def _four_sides(padding: Any) -> tuple[int, ...]:
    sides = tuple(padding) if isinstance(padding, tuple | list) else (padding,) * 4
    if len(sides) != 4 or isinstance(padding, str):
        raise ShapeError(f"conv2d: padding {padding!r} is neither one number nor (top, bottom, left, right).")
    return sides


def conv2d(
    x: Any, w: Any, *, stride: int = 1, padding: int | Sequence[int] = 0, groups: int = 1, moments: bool = False
) -> Tensor:
    """Convolve images with filters.

    Parameters
    ----------
    x : Tensor, shape [N, H, W, C]
    w : Tensor, shape [R, S, C / groups, F]
    stride : int
    padding : int or (top, bottom, left, right)
        Zeros around each image.
    groups : int
        Channels and filters are split into that many groups which do not see each other; C makes it depthwise.
    moments : bool
        A batch norm in training comes next: where a kernel can, mean and variance are taken as the values are made.

    Returns
    -------
    Tensor, shape [N, I, J, F]
        I = floor((H + top + bottom - R) / stride) + 1, and J likewise.

    Raises
    ------
    ShapeError
        Channels that do not match (with a hint where x looks channels first), a window larger than the image.

    Examples
    --------
    >>> import numpy as np
    >>> from tinyres import ops
    >>> x, w = np.ones((2, 5, 5, 3), np.float32), np.ones((3, 3, 3, 4), np.float32)
    >>> y = ops.conv2d(x, w, stride=2, padding=1)
    >>> y.shape, float(y.data[0, 1, 1, 0])
    ((2, 3, 3, 4), 27.0)
    """
    x, w = as_tensor(x), as_tensor(w)
    geometry: dict[str, Any] = {"stride": stride, "padding": _four_sides(padding), "groups": groups}
    if not (moments and fuses("conv2d_stats", name_of(x.dtype), x.device)):
        return apply(Conv2d(**geometry), x, w)
    function = Conv2dStats(**geometry)
    y = apply(function, x, w)
    mean, variance = function.moments
    y.moments = mean, variance
    return y


def conv2d_input(
    dy: Any, w: Any, shape: Sequence[int], *, stride: int = 1, padding: int | Sequence[int] = 0, groups: int = 1
) -> Tensor:
    """Gradient of a convolution with respect to its input of that `shape`: the transposed convolution.

    Parameters
    ----------
    dy : Tensor, shape [N, I, J, F]
    w : Tensor, shape [R, S, C / groups, F]
    shape : (N, H, W, C)
    stride, padding, groups
        Those of the convolution.

    Returns
    -------
    Tensor, shape [N, H, W, C]
    """
    return apply(Conv2dInput(shape=tuple(shape), stride=stride, padding=_four_sides(padding), groups=groups), dy, w)


def conv2d_weight(
    x: Any, dy: Any, shape: Sequence[int], *, stride: int = 1, padding: int | Sequence[int] = 0, groups: int = 1
) -> Tensor:
    """Gradient of a convolution with respect to its filters of that `shape`.

    Parameters
    ----------
    x : Tensor, shape [N, H, W, C]
    dy : Tensor, shape [N, I, J, F]
    shape : (R, S, C / groups, F)
    stride, padding, groups
        Those of the convolution.

    Returns
    -------
    Tensor, shape [R, S, C / groups, F]
    """
    return apply(Conv2dWeight(shape=tuple(shape), stride=stride, padding=_four_sides(padding), groups=groups), x, dy)
