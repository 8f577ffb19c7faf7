"""The recipe on dense nets: when the rate drops, cosine, augmentation, dropout.

    python lessons/experiments/recipe.py       writes lessons/logs/recipe.json (about 4 minutes on one core)

Residual net of 20 units and plain net of 18, as in depth.py: lr 0.1, batch 64, 15 epochs, 144 images held out.
Augmentation moves the digit by -1, 0 or 1 pixels each way, at random. Dropout stands before the last layer. A log that
is there already is continued.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

import numpy as np
from depth import summary

from tinyres import ops
from tinyres.data import crops_and_flips
from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet
from tinyres.nn import Dropout
from tinyres.tensor import Tensor

SEEDS = (0, 1, 2)
EPOCHS, RATE, STEPS = 15, 0.1, 15 * 21
DROPS = (0.05, 0.25, 0.5, 0.75, 1.0)
NETS = {"residual": (20, 1.0), "plain": (18, 0.0)}


def shifted(seed: int) -> Callable[[Any, int, Any], Any]:
    """Augmentation of rows [N, 64]: each digit moved by at most one pixel, the same in every run of this seed."""

    def augment(x: Any, epoch: int, positions: Any) -> Any:
        padded = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
        tops, lefts, _ = crops_and_flips(seed, epoch, positions, 1)
        moved = [image[top : top + 8, left : left + 8] for image, top, left in zip(padded, tops, lefts, strict=True)]
        return np.stack(moved).reshape(len(x), 64)

    return augment


def cosine(step: int) -> float:
    """The rate of a step: half a cosine wave from RATE to 0."""
    return 0.5 * RATE * (1 + math.cos(math.pi * step / STEPS))


class WithDropout(DenseNet):
    """A dense net with dropout before its last layer."""

    def __init__(self, units: int, p: float, seed: int) -> None:
        super().__init__(units, seed=seed)
        self.dropout = Dropout(p, seed=seed)

    def forward(self, x: Any) -> Tensor:
        """[N, inputs] -> [N, K]."""
        h = self.bn(self.units(ops.matmul(x, self.stem)), relu=True)
        logits: Tensor = self.fc(self.dropout(h))
        return logits


def trials() -> dict[str, tuple[dict[str, Any], Callable[[int], dict[str, Any]]]]:
    """What each run is called, what it is, and how to make its net and settings from a seed."""
    found: dict[str, tuple[dict[str, Any], Callable[[int], dict[str, Any]]]] = {}
    for name, (units, shortcut) in NETS.items():

        def net(seed: int, units: int = units, shortcut: float = shortcut) -> DenseNet:
            return DenseNet(units, shortcut=shortcut, seed=seed)

        for drop in DROPS:
            found[f"{name} drop {drop}"] = (
                {"net": name, "part": "schedule", "drop": drop},
                lambda seed, net=net, drop=drop: {"model": net(seed), "lr": RATE, "drop": drop},
            )
        found[f"{name} cosine"] = (
            {"net": name, "part": "schedule", "drop": "cosine"},
            lambda seed, net=net: {"model": net(seed), "lr": cosine},
        )
        found[f"{name} augmented"] = (
            {"net": name, "part": "augmentation"},
            lambda seed, net=net: {"model": net(seed), "lr": RATE, "augment": shifted(seed)},
        )
    for p in (0.2, 0.5):
        found[f"residual dropout {p}"] = (
            {"net": "residual", "part": "dropout", "p": p},
            lambda seed, p=p: {"model": WithDropout(20, p, seed), "lr": RATE},
        )
    return found


def main() -> None:
    data = digits_arrays().hold_out(144)
    try:
        runs = read_log("recipe")["runs"]
    except DataError:
        runs = {}
    for seed in SEEDS:
        for name, (what, settings) in trials().items():
            key = f"{name} seed {seed}"
            if key in runs:
                continue
            history = train(data=data, epochs=EPOCHS, seed=seed, **settings(seed))
            runs[key] = what | {"seed": seed} | summary(history)
            print(key, runs[key]["train_error"][-1], runs[key]["test_error"][-1], flush=True)
            write_log(
                "recipe",
                {"runs": runs, "epochs": EPOCHS, "lr": RATE, "nets": {k: v[0] for k, v in NETS.items()}},
                made_by="python lessons/experiments/recipe.py",
                data="digits, 1,293 for training, 144 for validation, 360 for testing",
                seeds=SEEDS,
            )


if __name__ == "__main__":
    main()
