"""Matrix products, and the fully connected layer  y = x w + b.

d(ab):  da = dy b^T,  db = a^T dy
"""

from __future__ import annotations

from typing import Any

from tinyres.function import Function, apply
from tinyres.kernels.launch import Array
from tinyres.ops.derivatives import sum_to
from tinyres.ops.reduce import sum
from tinyres.ops.shape import transpose
from tinyres.tensor import Tensor


def _swapped(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return transpose(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])


class Matmul(Function):
    op, keeps = "matmul", ("a", "b")

    def forward(self, a: Array, b: Array) -> Array:  # [...,M,K], [...,K,N] -> [...,M,N]
        return self.kernel(a, b)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            sum_to(matmul(dy, _swapped(self.b)), self.shapes[0]) if self.needs[0] else None,
            sum_to(matmul(_swapped(self.a), dy), self.shapes[1]) if self.needs[1] else None,
        )


class Linear(Function):
    op, keeps = "linear", ("x", "w")

    def forward(self, x: Array, w: Array, b: Array) -> Array:  # [N,C], [C,F], [F] -> [N,F]
        return self.kernel(x, w, b)

    def backward(self, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        return (
            matmul(dy, _swapped(self.w)) if self.needs[0] else None,
            matmul(_swapped(self.x), dy) if self.needs[1] else None,
            sum(dy, 0) if self.needs[2] else None,
        )


def matmul(a: Any, b: Any) -> Tensor:
    """Matrix product of the last two axes; the axes before them broadcast.

    Parameters
    ----------
    a : Tensor, shape [..., M, K]
    b : Tensor, shape [..., K, N]

    Returns
    -------
    Tensor, shape [..., M, N]
    """
    return apply(Matmul(), a, b)


def linear(x: Any, w: Any, b: Any) -> Tensor:
    """Fully connected layer.

    Parameters
    ----------
    x : Tensor, shape [N, C]
    w : Tensor, shape [C, F]
    b : Tensor, shape [F]

    Returns
    -------
    Tensor, shape [N, F]
    """
    return apply(Linear(), x, w, b)
