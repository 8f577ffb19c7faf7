"""Jacobians, curvature, shattering and loss landscapes of convolutional nets on digits, untrained and trained.

    python lessons/experiments/conv_curvature.py    writes lessons/logs/conv_curvature.json (8 minutes on one core)

Plain and residual nets of 20 and 56 layers, three seeds: SGD with momentum 0.9, batch 64, rate 0.1 divided by 10 at
75 %, 12 epochs. Jacobians of the three stages at 2 images, all singular values; both ends of the Hessian's spectrum on
128 images; gradients towards the nearest neighbour of 128 images; landscapes on 256 images, on a grid for seed 0. Batch
norm has the statistics of the batch. A log that is there already is continued.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from tinyres import models
from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.measures.hessian import curvature
from tinyres.flow.measures.jacobian import spectrum
from tinyres.flow.measures.landscape import landscape
from tinyres.flow.measures.shattered import neighbours
from tinyres.flow.testbed import Arrays, digits_arrays, train
from tinyres.nn.module import Module

NETS = ("plain20", "resnet20", "plain56", "resnet56")
SEEDS = (0, 1, 2)
STAGES = {"layer1": "bn1", "layer2": "layer1", "layer3": "layer2"}  # end -> start
QUANTILES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)


def rounded(values: Any) -> list[float]:
    """Four digits of each."""
    return [float(f"{value:.4g}") for value in np.ravel(values)]


def measured(net: Module, data: Arrays, *, grid: bool) -> dict[str, Any]:
    """All measures of one net as plain numbers."""
    x, y = data.x[:128], data.y[:128]
    stages = {}
    for end, start in STAGES.items():
        found = spectrum(net, x[:2], start=start, end=end, batch=x)
        stages[end] = {
            "shape": found.shape,
            "share_above": rounded(found.share_above()),
            "stable_rank": rounded(found.stable_rank()),
            "quantiles": [rounded(np.quantile(values, QUANTILES)) for values in found.values],
        }
    ends = curvature(net, x, y, iterations=25, tolerance=5e-2)
    found = {
        "stages": stages,
        "largest": ends.largest,
        "smallest": ends.smallest,
        "errors": [ends.largest_error, ends.smallest_error],
        "cosine": rounded(neighbours(net, x, y, steps=6).table()["median"]),
    }
    line = landscape(net, data.x[:256], data.y[:256], points=17)
    found["line"] = {"a": rounded(line.axes[0]), "loss": rounded(line.loss), "error": rounded(line.error)}
    if grid:
        plane = landscape(net, data.x[:256], data.y[:256], dimensions=2, points=11)
        found["plane"] = {"a": rounded(plane.axes[0]), "loss": [rounded(row) for row in plane.loss]}
    return found


def main() -> None:
    data = digits_arrays(flat=False)
    try:
        runs = read_log("conv_curvature")["runs"]
    except DataError:
        runs = {}

    def keep(key: str, found: dict[str, Any]) -> None:
        runs[key] = found
        print(key, found["largest"], found["smallest"], found.get("train_error"), flush=True)
        write_log(
            "conv_curvature",
            {"runs": runs, "quantiles": QUANTILES, "epochs": 12, "batch": 64, "lr": 0.1},
            made_by="python lessons/experiments/conv_curvature.py",
            data="digits, 1,437 for training, 360 for testing",
            seeds=SEEDS,
        )

    for seed in SEEDS:
        for name in NETS:
            if (key := f"{name} seed {seed} untrained") not in runs:
                keep(key, measured(models.create(name, in_channels=1, seed=seed), data, grid=False))
    for seed in SEEDS:
        for name in NETS:
            if (key := f"{name} seed {seed} trained") not in runs:
                net = models.create(name, in_channels=1, seed=seed)
                history = train(net, data, epochs=12, seed=seed, every=12)
                errors = {
                    "train_error": float(history.train_error[-1]),
                    "test_error": float(history.test_error[-1]),
                    "loss": rounded(history.loss),
                }
                keep(key, measured(net, data, grid=seed == 0) | errors)


if __name__ == "__main__":
    main()
