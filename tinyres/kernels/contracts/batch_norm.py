"""Contracts of batch norm: 8 operations a value forward (two passes of statistics, one to normalise), 12 backward."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tinyres.kernels.contracts.table import Array, Case, Generator, away_from_zero, contract

EPS = 1e-5
NORMED = ((3, 4, 5, 6), (7, 2), (1, 5, 3, 2), (2, 3, 3, 16))


def _clear_of_zero(rng: Generator, scaled: Array) -> Array:
    """Shifts, one a channel, after which no value lies within 0.02 of the kink of a ReLU."""
    beta = rng.standard_normal(scaled.shape[-1])
    while len(near := np.unique(np.nonzero(np.abs(scaled + beta) < 0.02)[-1])):
        beta[near] = rng.standard_normal(len(near))
    return beta


def off_the_kink(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array) -> Array:
    """`x` with every value moved for which the normalised one lies within 0.001 of the kink of a ReLU.

    Rounding would decide there whether a gradient passes. The statistics are arguments of a gradient: they stay.
    """
    deviation, factor = x.astype(np.float64) - mean, gamma / np.sqrt(variance.astype(np.float64) + EPS)
    wanted = np.where(deviation * factor + beta > 0, 0.002, -0.002) - beta
    near = np.abs(deviation * factor + beta) < 0.001
    return np.where(near, mean + wanted / factor, x).astype(x.dtype)


def _normed(rng: Generator) -> Iterator[tuple[str, dict[str, Array], int]]:
    for shape in NORMED:
        axes, channels = tuple(range(len(shape) - 1)), shape[-1]
        x = 2 + 3 * rng.standard_normal(shape)
        gamma = rng.uniform(0.5, 2, channels)
        scaled = gamma * (x - x.mean(axes)) / x.std(axes)
        beta = _clear_of_zero(rng, scaled)
        yield (
            f"{list(shape)}",
            {
                "dy": rng.standard_normal(shape),
                "y": np.maximum(away_from_zero(rng, *shape), 0),
                "x": x,
                "gamma": gamma,
                "beta": beta,
                "shortcut": away_from_zero(rng, *shape) - scaled - beta,
                "mean": x.mean(axes),
                "variance": x.var(axes),
            },
            x.size // channels,
        )


_BATCH_NORM_ARGUMENTS = {
    "batch_norm": ("x gamma beta", 8),
    "bn_relu": ("x gamma beta", 9),
    "bn_add_relu": ("x gamma beta shortcut", 10),
    "batch_norm_eval": ("x gamma beta mean variance", 4),
    "bn_relu_eval": ("x gamma beta mean variance", 5),
    "bn_add_relu_eval": ("x gamma beta mean variance shortcut", 6),
    "batch_norm_gradient": ("dy x gamma mean variance", 12),
    "bn_relu_gradient": ("dy x gamma beta mean variance", 17),
    "bn_add_relu_gradient": ("dy y x gamma mean variance", 13),
}


def _batch_norm(rng: Generator, op: str) -> Iterator[Case]:
    for name, arrays, count in _normed(rng):
        wanted = _BATCH_NORM_ARGUMENTS[op][0].split()
        yield Case(name, tuple(arrays[argument] for argument in wanted), {"eps": EPS}, count)


def _operations(case: Case, each: int) -> int:
    return each * int(case.arrays[0].size)


for _op, (_, _each) in _BATCH_NORM_ARGUMENTS.items():
    contract(_op, operations=partial(_operations, each=_each))(_batch_norm)


@contract("running_averages", operations=lambda case: 6 * case.arrays[0].size)
def _running_averages(rng: Generator, op: str) -> Iterator[Case]:
    for c in (5, 300):
        yield Case(f"[{c}]", tuple(rng.standard_normal(c) for _ in range(4)), {"momentum": 0.1, "scale": 7 / 6})
