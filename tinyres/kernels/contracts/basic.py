"""Contracts of arithmetic, activations, products, shapes and sums."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres.kernels.contracts.table import Case, Generator, away_from_zero, contract

BROADCASTS = (((3, 5, 2), (3, 5, 2)), ((4, 1, 3), (2, 1)), ((7,), (5, 7)), ((), (2, 3)))


@contract("add", "sub", "mul", "div", "add_relu")
def _binary(rng: Generator, op: str) -> Iterator[Case]:
    for a, b in BROADCASTS:
        yield Case(f"{a} {b}", (away_from_zero(rng, *a), away_from_zero(rng, *b)))


@contract("power")
def _power(rng: Generator, op: str) -> Iterator[Case]:
    for a, b in BROADCASTS:
        yield Case(f"{a} {b}", (np.asarray(rng.uniform(0.5, 2, a)), np.asarray(rng.uniform(-2, 2, b))))


@contract("neg", "exp", "relu", "tanh", "sigmoid")
def _unary(rng: Generator, op: str) -> Iterator[Case]:
    for shape in ((3, 5, 2), (1, 7), ()):
        yield Case(f"{shape}", (away_from_zero(rng, *shape),))


@contract("log", "sqrt")
def _positive(rng: Generator, op: str) -> Iterator[Case]:
    for shape in ((3, 5, 2), (1, 7), ()):
        yield Case(f"{shape}", (np.asarray(rng.uniform(0.5, 4, shape)),))


@contract("softmax")
def _softmax(rng: Generator, op: str) -> Iterator[Case]:
    for shape, axis in (((3, 7), 1), ((2, 5, 3), 0), ((1, 4), -1)):
        yield Case(f"{shape} axis {axis}", (5 * rng.standard_normal(shape),), {"axis": axis}, shape[axis])


@contract("relu_gradient")
def _relu_gradient(rng: Generator, op: str) -> Iterator[Case]:
    yield Case("[3,5,2]", (rng.standard_normal((3, 5, 2)), np.maximum(away_from_zero(rng, 3, 5, 2), 0)))


@contract("dropout")
def _dropout(rng: Generator, op: str) -> Iterator[Case]:
    for p in (0.0, 0.3):
        yield Case(f"p {p}", (away_from_zero(rng, 7, 5, 3),), {"p": p, "seed": 5, "step": 2})


def _product_operations(case: Case) -> int:
    a, b = case.arrays[:2]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return 2 * math.prod(batch) * int(a.shape[-2] * a.shape[-1] * b.shape[-1])


@contract("matmul", operations=_product_operations)
def _matmul(rng: Generator, op: str) -> Iterator[Case]:
    for a, b in (((3, 5), (5, 2)), ((2, 1, 3, 4), (5, 4, 6)), ((1, 7), (7, 1))):
        yield Case(f"{a} {b}", (rng.standard_normal(a), rng.standard_normal(b)), terms=a[-1])


@contract("linear", operations=_product_operations)
def _linear(rng: Generator, op: str) -> Iterator[Case]:
    for n, c, f in ((3, 7, 5), (1, 64, 10)):
        arrays = rng.standard_normal((n, c)), rng.standard_normal((c, f)), rng.standard_normal(f)
        yield Case(f"[{n},{c}] [{c},{f}]", arrays, terms=c)


@contract("reshape")
def _reshape(rng: Generator, op: str) -> Iterator[Case]:
    yield Case("[3,4,5] -> [6,10]", (rng.standard_normal((3, 4, 5)),), {"shape": (6, 10)})


@contract("transpose")
def _transpose(rng: Generator, op: str) -> Iterator[Case]:
    yield Case("[3,4,5] by (2,0,1)", (rng.standard_normal((3, 4, 5)),), {"axes": (2, 0, 1)})


INDICES: dict[str, Any] = {"slices": np.s_[1:, ::2], "repeated rows": np.array([0, 2, 2]), "one value": (1, 2, 3)}


@contract("getitem")
def _getitem(rng: Generator, op: str) -> Iterator[Case]:
    for name, index in INDICES.items():
        yield Case(name, (rng.standard_normal((3, 4, 5)),), {"index": index})


@contract("getitem_gradient")
def _getitem_gradient(rng: Generator, op: str) -> Iterator[Case]:
    for name, index in INDICES.items():
        taken = np.empty((3, 4, 5))[index]
        yield Case(name, (np.asarray(rng.standard_normal(np.shape(taken))),), {"index": index, "shape": (3, 4, 5)})


@contract("concat")
def _concat(rng: Generator, op: str) -> Iterator[Case]:
    yield Case("three of [2,?,3]", tuple(rng.standard_normal((2, n, 3)) for n in (1, 4, 5)), {"axis": 1})


@contract("broadcast_to")
def _broadcast_to(rng: Generator, op: str) -> Iterator[Case]:
    yield Case("[3,1] -> [2,3,5]", (rng.standard_normal((3, 1)),), {"shape": (2, 3, 5)})


@contract("sum", "mean", operations=lambda case: case.arrays[0].size)
def _sum(rng: Generator, op: str) -> Iterator[Case]:
    for axis, keepdims in ((None, False), ((0, 2), True), (1, False)):
        terms = 3 * 5 * 7 if axis is None else 21 if axis == (0, 2) else 5
        x = rng.standard_normal((3, 5, 7))
        yield Case(f"axis {axis}", (x,), {"axis": axis, "keepdims": keepdims}, terms)
