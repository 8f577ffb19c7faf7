"""Tensor's operators and methods, each an op: `x + y` is `add(x, y)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyres.ops import elementwise, linear, reduce, shape
from tinyres.tensor import Tensor


def _method_reshape(x: Tensor, *sizes: Any) -> Tensor:
    return shape.reshape(x, sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes)


def _method_transpose(x: Tensor, *axes: Any) -> Tensor:
    return shape.transpose(x, axes[0] if len(axes) == 1 and isinstance(axes[0], Sequence) else axes or None)


def install() -> None:
    """Give Tensor its operators."""
    for name, op in {
        "add": elementwise.add,
        "sub": elementwise.sub,
        "mul": elementwise.mul,
        "truediv": elementwise.div,
        "pow": elementwise.power,
        "matmul": linear.matmul,
    }.items():
        setattr(Tensor, f"__{name}__", op)
        setattr(Tensor, f"__r{name}__", lambda x, other, op=op: op(other, x))
    for name, method in {
        "__neg__": elementwise.neg,
        "__getitem__": shape.getitem,
        "T": property(shape.transpose),
        "reshape": _method_reshape,
        "transpose": _method_transpose,
        "sum": reduce.sum,
        "mean": reduce.mean,
    }.items():
        setattr(Tensor, name, method)
