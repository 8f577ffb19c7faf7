"""Must the shortcut be the identity? Other factors, gates, branches of one to three layers; dense nets on digits.

    python lessons/experiments/identity.py      writes lessons/logs/identity.json (about 12 minutes on one core)

    h <- a h + b F(h)                         (a, b) = (0.9, 1), (0.5, 0.5); (1, 1) and (0, 1) are in depth.json
    h <- (1 - g) h + g F(h)                   exclusive gate, g = sigmoid(h W + c) with every c the same at first
    h <- (1 - g) h + F(h)                     gate on the shortcut alone
    h <- h + F(h), F of 1, 2 or 3 layers      54 layers in all; 1 is in depth.json

These are the variants of table 1 of He et al. 2016, "Identity mappings in deep residual networks". Training and split
are those of depth.py. A log that is there already is continued; what matters most is run first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from tinyres import nn, ops
from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet
from tinyres.tensor import Tensor

SEEDS = (0, 1, 2)
RATES = (0.1, 0.03, 0.01, 0.3, 0.003)
FACTORS = {"0.9, 1": (0.9, 1.0), "0.5, 0.5": (0.5, 0.5)}
DEPTHS = (54, 20, 10, 30)
GATED = 30  # units of the nets with gates


class GatedUnit(nn.Module):
    """(1 - g) h + g F(h), or (1 - g) h + F(h), with a gate g = sigmoid(h W + c) of its own: [N, C] -> [N, C]."""

    def __init__(self, branch: nn.Module, width: int, *, bias: float, exclusive: bool, rng: Any) -> None:
        self.branch, self.exclusive = branch, exclusive
        self.gate = nn.Linear(width, width, rng=rng)
        self.gate.bias.data[...] = bias

    def forward(self, h: Tensor) -> Tensor:
        g = ops.sigmoid(self.gate(h))
        change = self.branch(h)
        return (1.0 - g) * h + (g * change if self.exclusive else change)


def gated(units: int, *, bias: float, exclusive: bool, seed: int) -> DenseNet:
    """A residual net whose shortcuts have gates."""
    net, rng = DenseNet(units, seed=seed), np.random.default_rng(seed + 1000)
    for name, unit in list(net.units.children()):
        setattr(net.units, name, GatedUnit(unit.branch, 64, bias=bias, exclusive=exclusive, rng=rng))
    return net.flatten()


def wanted() -> Iterator[tuple[str, dict[str, Any], Callable[[int], DenseNet]]]:
    """Every net and rate: its name, what describes it, and how to build it from a seed."""
    for units in DEPTHS:
        for name, (shortcut, scale) in FACTORS.items():
            yield from factors(units, name, shortcut, scale, RATES[:1])
    for branch in (2, 3):
        yield from branches(branch, RATES[:1])
    for exclusive in (True, False):
        for bias in (0.0, -6.0):
            kind = "exclusive" if exclusive else "shortcut only"
            yield (
                f"gate {kind}, bias {bias:g}",
                {"kind": "gate", "exclusive": exclusive, "bias": bias, "units": GATED, "lr": 0.1},
                lambda seed, b=bias, e=exclusive: gated(GATED, bias=b, exclusive=e, seed=seed),
            )
    for name, (shortcut, scale) in FACTORS.items():
        yield from factors(54, name, shortcut, scale, RATES[1:])
    for branch in (2, 3):
        yield from branches(branch, RATES[1:])


def factors(units: int, name: str, shortcut: float, scale: float, rates: tuple[float, ...]) -> Iterator[Any]:
    """Nets with constant factors."""
    for lr in rates:
        yield (
            f"factors {name}, {units} units, lr {lr}",
            {"kind": "factors", "shortcut": shortcut, "scale": scale, "units": units, "lr": lr},
            lambda seed: DenseNet(units, shortcut=shortcut, scale=scale, seed=seed),
        )


def branches(branch: int, rates: tuple[float, ...]) -> Iterator[Any]:
    """Nets of 54 layers with longer branches."""
    for lr in rates:
        yield (
            f"branch {branch}, lr {lr}",
            {"kind": "branch", "branch": branch, "units": 54 // branch, "lr": lr},
            lambda seed: DenseNet(54 // branch, branch=branch, seed=seed),
        )


def main() -> None:
    data = digits_arrays().hold_out(144)
    try:
        runs = read_log("identity")["runs"]
    except DataError:
        runs = {}
    for name, settings, build in wanted():
        for seed in SEEDS:
            key = f"{name}, seed {seed}"
            if key in runs:
                continue
            history = train(build(seed), data, lr=settings["lr"], seed=seed, every=15)
            runs[key] = settings | {
                "seed": seed,
                "loss": [round(float(value), 5) for value in history.loss],
                "train_error": round(float(history.train_error[-1]), 5),
                "validation_error": round(float(history.validation_error[-1]), 5),
                "test_error": round(float(history.test_error[-1]), 5),
                "diverged": history.diverged,
            }
            print(key, runs[key]["train_error"], runs[key]["validation_error"], flush=True)
            write_log(
                "identity",
                {"runs": runs, "rates": RATES, "epochs": 15, "batch": 64},
                made_by="python lessons/experiments/identity.py",
                data="digits, 1,293 for training, 144 for validation, 360 for testing",
                seeds=SEEDS,
            )


if __name__ == "__main__":
    main()
