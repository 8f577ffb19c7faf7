"""Arithmetic with broadcasting.

    d(a+b) = da + db     d(a-b) = da - db     d(ab) = b da + a db     d(a/b) = da/b - a/b^2 db
    d(a^b) = b a^(b-1) da + a^b ln(a) db      d(e^x) = e^x dx         d(ln x) = dx/x     d(sqrt x) = dx / (2 sqrt x)

An input that was broadcast receives the sum of its copies' gradients (`sum_to`).
"""

from __future__ import annotations

from typing import Any

from tinyres.errors import GradientError
from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.ops import derivatives
from tinyres.ops.derivatives import sum_to
from tinyres.tensor import Tensor, as_tensor

Both = tuple[Tensor | None, Tensor | None]


class _Binary(Function):
    """Two broadcast inputs; `derivatives` gives the gradients before they are summed back to the inputs' shapes."""

    def forward(self, a: Array, b: Array) -> Array:
        return self.kernel(a, b)

    def derivatives(self, dy: Tensor) -> Both:
        raise GradientError(f"{self.name} has no derivative.")

    def backward(self, dy: Tensor) -> Both:
        da, db = self.derivatives(dy)
        return sum_to(da, self.shapes[0]) if da is not None else None, sum_to(
            db, self.shapes[1]
        ) if db is not None else None


class Add(_Binary):
    op = "add"

    def derivatives(self, dy: Tensor) -> Both:
        return dy, dy


class Sub(_Binary):
    op = "sub"

    def derivatives(self, dy: Tensor) -> Both:
        return dy, neg(dy) if self.needs[1] else None


class Mul(_Binary):
    op, keeps = "mul", ("a", "b")

    def derivatives(self, dy: Tensor) -> Both:
        return derivatives.product(dy, self.a, self.b, self.needs)


class Div(_Binary):
    op, keeps = "div", ("a", "b")

    def derivatives(self, dy: Tensor) -> Both:
        return derivatives.quotient(dy, self.a, self.b, self.needs)


class Power(_Binary):
    op, keeps = "power", ("a", "b", "y")

    def derivatives(self, dy: Tensor) -> Both:
        if not self.needs[1] and self.b.size == 1 and self.b.item() == 0:
            return mul(dy, 0.0), None  # a^0 is 1 at a = 0 too, where 0 a^(-1) is no number
        da = mul(dy, mul(self.b, power(self.a, sub(self.b, 1.0)))) if self.needs[0] else None
        return da, mul(dy, mul(self.y, log(self.a))) if self.needs[1] else None


class Neg(Function):
    op = "neg"

    def forward(self, x: Array) -> Array:
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return neg(dy)


class Exp(Function):
    op, keeps = "exp", ("y",)

    def forward(self, x: Array) -> Array:
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return mul(dy, self.y)


class Log(Function):
    op, keeps = "log", ("x",)

    def forward(self, x: Array) -> Array:
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return div(dy, self.x)


class Sqrt(Function):
    op, keeps = "sqrt", ("y",)

    def forward(self, x: Array) -> Array:
        return self.kernel(x)

    def backward(self, dy: Tensor) -> Tensor:
        return div(mul(dy, 0.5), self.y)


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Tensors of both; a bare number takes the type of the other."""
    a_like, b_like = (x if isinstance(x, Tensor) else None for x in (a, b))
    return as_tensor(a, like=b_like), as_tensor(b, like=a_like)


def add(a: Any, b: Any) -> Tensor:
    """A + b. Shapes broadcast; a bare number takes the other's type."""
    return apply(Add(), *_pair(a, b))


def sub(a: Any, b: Any) -> Tensor:
    """A - b. Shapes broadcast; a bare number takes the other's type."""
    return apply(Sub(), *_pair(a, b))


def mul(a: Any, b: Any) -> Tensor:
    """A * b, elementwise. Shapes broadcast; a bare number takes the other's type."""
    return apply(Mul(), *_pair(a, b))


def div(a: Any, b: Any) -> Tensor:
    """A / b, elementwise. Shapes broadcast; a bare number takes the other's type."""
    return apply(Div(), *_pair(a, b))


def power(a: Any, b: Any) -> Tensor:
    """A to the power b, elementwise; the gradient with respect to b wants a > 0."""
    return apply(Power(), *_pair(a, b))


def neg(x: Any) -> Tensor:
    """-x."""
    return apply(Neg(), x)


def exp(x: Any) -> Tensor:
    """E to the power x, elementwise."""
    return apply(Exp(), x)


def log(x: Any) -> Tensor:
    """Natural logarithm, elementwise."""
    return apply(Log(), x)


def sqrt(x: Any) -> Tensor:
    """Square root, elementwise."""
    return apply(Sqrt(), x)
