"""Jacobians, curvature, shattering and loss landscapes of convolutional nets on digits, untrained and trained.

    python lessons/experiments/conv_curvature.py    writes lessons/logs/conv_curvature.json (4 minutes on one core)

Plain and residual nets of 20 and 56 layers. Before training, three seeds: Jacobians of the first and the last stage at
one image, all singular values; both ends of the Hessian's spectrum on 64 images. After training (seed 0; SGD with
momentum 0.9, batch 64, 12 epochs, rate 0.03 divided by 10 at 75 %): the same, and the loss of 256 images on a grid.
Batch norm has the statistics of the batch. A log that is there already is continued.
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
from tinyres.flow.testbed import Arrays, digits_arrays, train
from tinyres.nn.module import Module

NETS = ("plain56", "resnet56", "plain20", "resnet20")
SEEDS = (0, 1, 2)
LR = 0.03
STAGES = {"layer1": "bn1", "layer3": "layer2"}  # end -> start
QUANTILES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)


def rounded(values: Any) -> list[float]:
    """Four digits of each."""
    return [float(f"{value:.4g}") for value in np.ravel(values)]


def measured(net: Module, data: Arrays) -> dict[str, Any]:
    """Spectra of the stages and both ends of the Hessian's, as plain numbers."""
    x, y = data.x[:64], data.y[:64]
    stages = {}
    for end, start in STAGES.items():
        found = spectrum(net, x[:1], start=start, end=end, batch=x)
        stages[end] = {
            "shape": found.shape,
            "share_above": float(found.share_above()[0]),
            "stable_rank": float(found.stable_rank()[0]),
            "quantiles": rounded(np.quantile(found.values[0], QUANTILES)),
        }
    ends = curvature(net, x, y, iterations=15, tolerance=1e-1)
    errors = [ends.largest_error, ends.smallest_error]
    return {"stages": stages, "largest": ends.largest, "smallest": ends.smallest, "errors": errors}


def grid(net: Module, data: Arrays) -> dict[str, Any]:
    """The loss on a plane around the weights."""
    plane = landscape(net, data.x[:256], data.y[:256], dimensions=2, points=9)
    return {"plane": {"a": rounded(plane.axes[0]), "loss": [rounded(row) for row in plane.loss]}}


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
            {"runs": runs, "quantiles": QUANTILES, "epochs": 12, "batch": 64, "lr": LR},
            made_by="python lessons/experiments/conv_curvature.py",
            data="digits, 1,437 for training, 360 for testing",
            seeds=SEEDS,
        )

    for seed in SEEDS:
        for name in NETS:
            if (key := f"{name} seed {seed} untrained") not in runs:
                keep(key, measured(models.create(name, in_channels=1, seed=seed), data))
    for name in NETS:
        if (key := f"{name} seed 0 trained") not in runs:
            net = models.create(name, in_channels=1)
            history = train(net, data, epochs=12, lr=LR, every=12)
            errors = {"train_error": float(history.train_error[-1]), "test_error": float(history.test_error[-1])}
            keep(key, measured(net, data) | grid(net, data) | errors)


if __name__ == "__main__":
    main()
