"""From one device to the other, on purpose; the gradient goes the way back."""

from __future__ import annotations

from typing import Any

from tinyres.function import Function, apply
from tinyres.kernels.launch import Array, moved
from tinyres.tensor import Tensor, as_tensor


class To(Function):
    def __init__(self, device: str, back: str) -> None:
        self.device, self.back = device, back

    def forward(self, x: Array) -> Array:
        return moved(x, self.device)

    def backward(self, dy: Tensor) -> Tensor:
        return to(dy, self.back)


def to(x: Any, device: str) -> Tensor:
    """The same values on a device; the tensor itself if it is there already.

    Parameters
    ----------
    x : Tensor
    device : {"cpu", "cuda"}

    Returns
    -------
    Tensor

    Raises
    ------
    DeviceError
        An unknown device, or no GPU to use.
    """
    x = as_tensor(x)
    return x if x.device == device else apply(To(device, x.device), x)
