"""Convolution as an implicit matrix product (`cuda/conv.cuh`, `cuda/conv_weight.cuh`), in four precisions.

    cupy.igemm          fused multiply-adds, float32 and float64: every card
    cupy.igemm_3xtf32   tensor cores, three TF32 products for one: as accurate as float32
    cupy.igemm_tf32     tensor cores, factors rounded to TF32 (10 bits of mantissa)
    cupy.igemm_bf16     tensor cores, factors rounded to bfloat16 (7 bits)

Arrays and sums are float32 in all but the first's float64. Not yet run on a GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy.grid import counters, ints, real
from tinyres.kernels.on_cupy.igemm_plan import Problem, plan_conv, plan_weight
from tinyres.kernels.registry import kernel

Array = Any
Padding = tuple[int, int, int, int]
THREADS = 128
TENSOR_CORES = (8, 0)  # the compute capability from which there are TF32 and bfloat16 products


@dataclass(frozen=True)
class Precision:
    """One of the precisions: its name in the table and in C++, and how its kernels lay out words."""

    name: str
    cpp: str
    declared: str
    pack: int = 1  # channels in a word
    step: int = 8  # pixels of a product in the weight gradient

    def missing(self) -> str | None:
        """Why this machine cannot do it, as half a sentence."""
        if (reason := cuda.missing()) or not self.name:
            return reason
        major, minor = cuda.capability()
        if (major, minor) < TENSOR_CORES:
            return (
                f"its products are {self.declared}, which needs compute capability 8.0, and this GPU has "
                f"{major}.{minor}; use 'cupy.igemm'"
            )
        return None

    def type(self, array: Array) -> str:
        """The C++ type of the precision for such arrays."""
        return self.cpp or f"Full<{real(array)}>"


PRECISIONS = (
    Precision("", "", "full"),
    Precision("_3xtf32", "Tf32x3", "3xtf32"),
    Precision("_tf32", "Tf32", "tf32"),
    Precision("_bf16", "Bf16", "bf16", pack=2, step=16),
)


def conv2d(x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: Array, precision: Precision) -> None:
    """[N,H,W,C], [R,S,C/groups,F] -> [N,I,J,F]."""
    _conv(precision, x, w, out, stride, padding, groups)


def conv2d_stats(
    x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: tuple[Array, ...], precision: Precision
) -> None:
    """The same, and mean and biased variance of each filter's outputs."""
    y, *statistics = out
    _conv(precision, x, w, y, stride, padding, groups, statistics)


def conv2d_input(
    dy: Array, w: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array,
    precision: Precision,
) -> None:  # fmt: skip
    """[N,I,J,F], [R,S,C/groups,F] -> [N,H,W,C]: stride * stride correlations of dy, one for each phase of x."""
    _conv(precision, dy, w, out, stride, padding, groups, gradient=True)


def _conv(
    precision: Precision, given: Array, w: Array, out: Array, stride: int, padding: Padding, groups: int,
    statistics: Any = (), gradient: bool = False,
) -> None:  # fmt: skip
    if not out.size:
        return
    (n, high, wide, width), (r, s) = out.shape, w.shape[:2]
    depth, width = given.shape[3] // groups, width // groups
    if gradient:  # of the first phase, which is the largest
        problem = Problem(n, -(-high // stride), -(-wide // stride), 1, -(-r // stride), -(-s // stride))
    else:
        problem = Problem(n, high, wide, stride, r, s)
    phases = stride * stride if gradient else 1
    plan = plan_conv(problem, depth, width, groups, phases, precision.pack, given.itemsize, cuda.multiprocessors())
    extra: tuple[Any, ...] = (None, None, None, None)
    if statistics:
        parts = cuda.module().empty((plan.grid[1], plan.grid[0], 3, plan.block), given.dtype)
        extra = (*statistics, parts, counters())
    cuda.launch(
        "conv.cuh", f"conv<{precision.type(given)}, {plan.block}, {plan.tiles}>", plan.grid, THREADS,
        given, w, out, *extra,
        *ints(gradient, n, *given.shape[1:3], high, wide, depth, width, groups, r, s, stride, padding[0], padding[2]),
        *ints(plan.tile.images, plan.tile.rows, plan.tile.columns, plan.tile.tap_h, plan.tile.tap_w, plan.chunk),
        shared=plan.tile.shared,
    )  # fmt: skip


def conv2d_weight(
    x: Array, dy: Array, *, shape: tuple[int, ...], stride: int, padding: Padding, groups: int, out: Array,
    precision: Precision,
) -> None:  # fmt: skip
    """[N,H,W,C], [N,I,J,F] -> [R,S,C/groups,F]: parts of the pixels, added up by a second kernel."""
    (n, i, j, _), (r, s, depth, filters) = dy.shape, shape
    if not x.size:
        out.fill(0)
        return
    plan = plan_weight(
        Problem(n, i, j, stride, r, s), depth, filters // groups, groups, precision.step, x.itemsize,
        cuda.multiprocessors(),
    )  # fmt: skip
    parts = plan.grid[0]
    partial = out if parts == 1 else cuda.module().empty((parts, *shape), x.dtype)
    cuda.launch(
        "conv_weight.cuh", f"conv_weight<{precision.type(x)}, {plan.block}>", plan.grid,
        32 * plan.tap_warps * plan.pixel_warps, x, dy, partial,
        *ints(n, *x.shape[1:3], i, j, depth, filters // groups, groups, r, s, stride, padding[0], padding[2]),
        *ints(plan.tile.images, plan.tile.rows, plan.tile.columns, plan.tile.tap_h, plan.tile.tap_w),
        *ints(plan.tap_warps, plan.pixels), shared=plan.tile.shared,
    )  # fmt: skip
    if parts > 1:
        cuda.launch(
            "conv_weight.cuh", f"sum_parts<{real(x)}>", -(-out.size // 32), 256, partial, out, *ints(parts, out.size),
            shared=256 * x.itemsize,
        )  # fmt: skip


def _enter(function: Callable[..., None], precision: Precision) -> None:
    """Enter the kernel of one precision into the table."""
    kernel(
        function.__name__,
        f"cupy.igemm{precision.name}",
        device="cuda",
        dtypes=("float32",) if precision.cpp else ("float32", "float64"),
        precision=precision.declared,
        requires=precision.missing,
    )(functools.partial(function, precision=precision))


for each in PRECISIONS:
    for op in (conv2d, conv2d_input, conv2d_weight, conv2d_stats):
        _enter(op, each)
