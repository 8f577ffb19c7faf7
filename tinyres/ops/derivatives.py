"""Derivatives of arithmetic, by operators and methods that arrays and tensors share.

Each is given dy, the gradient of the loss with respect to y, and yields that of the inputs, da and db or dx. An input
that was broadcast receives the sum of its copies' gradients: that is `sum_to`, and it comes after the formulas, which
have the shape of y.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Numbers = Any  # an array or a Tensor: the formulas are the same
Both = tuple[Any, Any]


def sum_to(x: Numbers, shape: tuple[int, ...]) -> Numbers:
    """The transpose of broadcasting: add up what broadcasting from `shape` to the shape of x has copied.

    Parameters
    ----------
    x : array, any shape to which `shape` can be broadcast
        A gradient with respect to the copies.
    shape : tuple of int
        Of what was copied. Broadcasting writes missing dimensions in front, and repeats along those of length 1.

    Returns
    -------
    array of that shape
        x itself where nothing was copied.
    """
    # BEGIN SOLUTION derive.sum_to
    # STEP nothing to do where the shapes agree
    # STEP which axes of x are new, and which had length 1? Sum over those, and give the result its shape
    if x.shape == shape:
        return x
    extra = len(x.shape) - len(shape)
    axes = tuple(a for a, size in enumerate(x.shape) if a < extra or (shape[a - extra] == 1 and size != 1))
    return x.sum(axes).reshape(shape)
    # END SOLUTION


def product(dy: Numbers, a: Numbers, b: Numbers, needs: Sequence[bool] = (True, True)) -> Both:
    """Gradients of y = a * b, before they are summed back to the shapes of a and b.

    Parameters
    ----------
    dy : array, the shape of y
    a, b : arrays that broadcast to it
    needs : two of bool
        Which of the two gradients anybody wants. None stands for one that is not wanted; do not compute that.

    Returns
    -------
    da, db : arrays of the shape of y, or None
    """
    # BEGIN SOLUTION derive.product
    # da = dy b, db = dy a
    return dy * b if needs[0] else None, dy * a if needs[1] else None
    # END SOLUTION


def quotient(dy: Numbers, a: Numbers, b: Numbers, needs: Sequence[bool] = (True, True)) -> Both:
    """Gradients of y = a / b, before they are summed back; arguments and results as of `product`."""
    # BEGIN SOLUTION derive.quotient
    # da = dy / b, db = -da a / b = -dy a / b^2
    da = dy / b
    return da if needs[0] else None, -(da * a / b) if needs[1] else None
    # END SOLUTION


def softmax(dy: Numbers, y: Numbers, axis: int) -> Numbers:
    """Gradient of y = softmax(x) along an axis, from its result.

    Parameters
    ----------
    dy, y : arrays of one shape
    axis : int
        Along which y sums to 1.

    Returns
    -------
    dx : array of that shape
    """
    # BEGIN SOLUTION derive.softmax
    # STEP each y_i depends on every x_j: dy_i/dx_j = y_i (delta_ij - y_j). Multiply by dy_i, sum over i
    # so dx = y (dy - sum_j dy_j y_j)
    weighted = dy * y
    return weighted - y * weighted.sum(axis, keepdims=True)
    # END SOLUTION
