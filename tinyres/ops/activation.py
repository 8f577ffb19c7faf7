"""Activations.

relu(x) = max(x, 0)              derivative 1 where the output is positive, 0 elsewhere, at 0 too
tanh, sigmoid                    1 - y^2,   y (1 - y)
softmax(x)_i = e^x_i / sum_j e^x_j          dx = y (dy - sum_j dy_j y_j)
dropout(x) = x m / (1 - p)       m a mask of zeros and ones; its derivative is the same dropout
"""

from __future__ import annotations

from typing import Any

from tinyres.errors import ConfigError
from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.ops import derivatives
from tinyres.ops.derivatives import sum_to
from tinyres.ops.elementwise import mul, sub
from tinyres.tensor import Tensor, as_tensor


class Relu(Function):
    op, keeps = "relu", ("y",)

    def forward(self, x: Array) -> Array:
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return relu_gradient(dy, self.y)


class ReluGradient(Function):
    """dy where y > 0: linear in dy, and constant in y wherever it has a derivative."""

    op, keeps = "relu_gradient", ("y_forward",)

    def forward(self, dy: Array, y_forward: Array) -> Array:
        return self.kernel(dy, y_forward)

    def backward(self, ddx: Tensor) -> tuple[Tensor, None]:
        return relu_gradient(ddx, self.y_forward), None


class AddRelu(Function):
    op, keeps = "add_relu", ("y",)

    def forward(self, a: Array, b: Array) -> Array:
        return self.kernel(a, b)

    def backward(self, dy: Tensor) -> tuple[Tensor, Tensor]:
        both = relu_gradient(dy, self.y)
        return sum_to(both, self.shapes[0]), sum_to(both, self.shapes[1])


class Tanh(Function):
    op, keeps = "tanh", ("y",)

    def forward(self, x: Array) -> Array:
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return mul(dy, sub(1.0, mul(self.y, self.y)))


class Sigmoid(Function):
    op, keeps = "sigmoid", ("y",)

    def forward(self, x: Array) -> Array:
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return mul(dy, mul(self.y, sub(1.0, self.y)))


class Softmax(Function):
    op, keeps = "softmax", ("y",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        return self.kernel(x, axis=self.axis)

    def backward(self, dy: Tensor) -> Tensor:
        dx: Tensor = derivatives.softmax(dy, self.y, self.axis)
        return dx


class Dropout(Function):
    op = "dropout"

    def __init__(self, **mask: Any) -> None:
        self.mask = mask

    def forward(self, x: Array) -> Array:
        return self.kernel(x, **self.mask)

    def backward(self, dy: Tensor) -> Tensor:
        return apply(Dropout(**self.mask), dy)


def relu(x: Any) -> Tensor:
    """max(x, 0), elementwise."""
    return apply(Relu(), x)


def relu_gradient(dy: Any, y: Any) -> Tensor:
    """Dy where the ReLU's output y was positive, 0 elsewhere."""
    return apply(ReluGradient(), dy, y)


def add_relu(a: Any, b: Any) -> Tensor:
    """max(a + b, 0): where a shortcut joins its block. Shapes broadcast."""
    return apply(AddRelu(), a, b)


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent, elementwise."""
    return apply(Tanh(), x)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^-x), elementwise."""
    return apply(Sigmoid(), x)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """Exponentials divided by their sum along an axis."""
    return apply(Softmax(axis), x)


def dropout(x: Any, p: float = 0.5, *, training: bool = True, seed: int = 0, step: int = 0) -> Tensor:
    """Set each value to 0 with probability p and divide the rest by 1 - p; in evaluation leave x alone.

    Parameters
    ----------
    x : Tensor, any shape
    p : float
        From 0 up to, not including, 1.
    training : bool
    seed, step : int
        The mask is a pure function of (seed, step, place): pass another step each time. `nn.Dropout` counts for you.

    Raises
    ------
    ConfigError
        A probability out of range.
    """
    if not 0 <= p < 1:
        raise ConfigError(f"dropout: p is {p}; a probability from 0 up to, not including, 1 is wanted.")
    return apply(Dropout(p=p, seed=seed, step=step), x) if training and p else as_tensor(x)
