"""Arrays for the derivatives of lab 1: every dimension another, random cotangents, one strided, one in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres.lab.task import Case

Rng = np.random.Generator
Shape = tuple[int, ...]


def _named(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "one"


def summed(rng: Rng, before: Shape, after: Shape, **settings: Any) -> Case:
    """A case of `derive.sum_to`: x has the shape `after`, what was copied the shape `before`."""
    return Case(
        f"{_named(after)}-to-{_named(before)}", {"x": rng.standard_normal(after)}, {"shape": before}, **settings
    )


def sums(rng: Rng) -> Iterator[Case]:
    """For `derive.sum_to`."""
    yield summed(rng, (3,), (2, 3))
    yield summed(rng, (4, 1), (4, 5))
    yield summed(rng, (2, 3), (2, 3))
    yield summed(rng, (1, 3, 1), (4, 2, 3, 5))
    yield summed(rng, (3, 1, 2), (3, 4, 2), layout="strided")
    yield summed(rng, (), (2, 3), dtype="float64")
    yield summed(rng, (1, 4), (3, 4), dtype="float64")
    yield summed(rng, (3, 3), (3, 3, 3))


def sums_hidden(rng: Rng) -> Iterator[Case]:
    """For `derive.sum_to`, at grading."""
    yield summed(rng, (5, 1, 1), (2, 5, 3, 4), hidden=True)
    yield summed(rng, (1,), (6,), hidden=True)
    yield summed(rng, (1, 1, 4), (3, 2, 4), layout="strided", hidden=True)
    yield summed(rng, (2, 1, 3, 1), (2, 4, 3, 1), dtype="float64", hidden=True)


def operands(rng: Rng, a: Shape, b: Shape, needs: tuple[bool, bool] = (True, True), **settings: Any) -> Case:
    """A case of `derive.product` and `derive.quotient`; no value is near 0."""
    shape = np.broadcast_shapes(a, b)
    values = {name: rng.uniform(0.5, 2.0, s) * rng.choice([-1, 1], s) for name, s in (("a", a), ("b", b))}
    said = "" if all(needs) else "-only-da" if needs[0] else "-only-db"
    return Case(
        f"{_named(a)}-and-{_named(b)}{said}", {"dy": rng.standard_normal(shape), **values}, {"needs": needs}, **settings
    )


def pairs(rng: Rng) -> Iterator[Case]:
    """For `derive.product` and `derive.quotient`."""
    yield operands(rng, (2,), (2,))
    yield operands(rng, (2, 3), (2, 3))
    yield operands(rng, (2, 3), (3,))
    yield operands(rng, (4, 1), (1, 5), layout="strided")
    yield operands(rng, (3, 2, 4), (3, 2, 4), dtype="float64")
    yield operands(rng, (2, 4), (2, 4), (True, False))
    yield operands(rng, (3, 4), (4,), (False, True))


def pairs_hidden(rng: Rng) -> Iterator[Case]:
    """For `derive.product` and `derive.quotient`, at grading."""
    yield operands(rng, (5, 2, 3), (5, 1, 3), hidden=True)
    yield operands(rng, (), (3, 5), dtype="float64", hidden=True)
    yield operands(rng, (3, 4), (3, 4), (False, True), layout="strided", hidden=True)
    yield operands(rng, (2, 5), (2, 5), (True, False), hidden=True)


def distributions(rng: Rng, shape: Shape, axis: int, **settings: Any) -> Case:
    """A case of `derive.softmax`: y sums to 1 along an axis."""
    y = np.exp(1.5 * rng.standard_normal(shape))
    y /= y.sum(axis, keepdims=True)
    return Case(f"{_named(shape)}-axis{axis}", {"dy": rng.standard_normal(shape), "y": y}, {"axis": axis}, **settings)


def softmaxes(rng: Rng) -> Iterator[Case]:
    """For `derive.softmax`."""
    yield distributions(rng, (2,), 0)
    yield distributions(rng, (2, 3), 1)
    yield distributions(rng, (5, 4), 0)
    yield distributions(rng, (2, 3, 4), -1, layout="strided")
    yield distributions(rng, (3, 5, 2), 1, dtype="float64")


def softmaxes_hidden(rng: Rng) -> Iterator[Case]:
    """For `derive.softmax`, at grading."""
    yield distributions(rng, (1, 7), 1, hidden=True)
    yield distributions(rng, (4, 3), 0, dtype="float64", hidden=True)
    yield distributions(rng, (4, 2, 3), -2, layout="strided", hidden=True)
    yield distributions(rng, (6, 10), -1, hidden=True)
