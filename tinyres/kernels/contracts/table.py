"""The table of contracts, and what samplers share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tinyres.kernels.shapes import RULES

Array = Any
Generator = np.random.Generator
SLACK = 32.0
# How far apart the numbers are that a factor of a product is rounded to, relative to itself: by the mantissa's bits.
REDUCED = {"tf32": 2.0**-10, "bf16": 2.0**-7, "3xtf32": 2.0**-21}


@dataclass(frozen=True)
class Case:
    """Inputs of an op: float64 (or integer) arrays and parameters, and the length of the longest sum."""

    name: str
    arrays: tuple[Array, ...]
    params: dict[str, Any] = field(default_factory=dict)
    terms: int = 1


@dataclass(frozen=True)
class Contract:
    """What every kernel of an op must do."""

    op: str
    cases: Callable[[Generator], Iterator[Case]]
    operations: Callable[[Case], int]

    def tolerance(self, case: Case, dtype: Any, precision: str = "full") -> float:
        """Largest error allowed, relative to the scale of the result, for a kernel of that declared precision."""
        sums = float(SLACK * np.finfo(dtype).eps * math.sqrt(case.terms))
        # Rounded factors cost no more in a long sum: of terms of either sign it grows as their errors do.
        return sums if precision == "full" else sums + 4 * REDUCED[precision]

    def bytes(self, case: Case, dtype: Any) -> int:
        """Compulsory traffic: every input read once, every result written once."""
        itemsize = np.dtype(dtype).itemsize
        read = sum(a.size * (itemsize if a.dtype.kind == "f" else a.itemsize) for a in case.arrays)
        results = RULES[self.op](*case.arrays, **case.params)
        written = sum(math.prod(s) * (itemsize if t.kind == "f" else t.itemsize) for s, t in results)
        return int(read + written)


CONTRACTS: dict[str, Contract] = {}


def outputs(case: Case, op: str) -> int:
    """Number of values of the op's (first) result."""
    shape: tuple[int, ...] = RULES[op](*case.arrays, **case.params)[0][0]
    return math.prod(shape)


def contract(
    *ops: str, operations: Callable[[Case], int] | None = None
) -> Callable[[Callable[..., Iterator[Case]]], Callable[..., Iterator[Case]]]:
    """Enter a sampler as the contract of its ops; it takes the generator and the op's name."""

    def register(sampler: Callable[..., Iterator[Case]]) -> Callable[..., Iterator[Case]]:
        for op in ops:
            CONTRACTS[op] = Contract(op, partial(sampler, op=op), operations or partial(outputs, op=op))
        return sampler

    return register


def away_from_zero(rng: Generator, *shape: int) -> Array:
    """Normal values with a gap of 0.1 around 0, where ReLU has no derivative."""
    values = np.asarray(rng.standard_normal(shape))
    return np.asarray(values + np.sign(values) * 0.1)
