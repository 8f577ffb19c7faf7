"""Gradients before training: how their size changes with depth, and whether neighbours agree.

    python lessons/experiments/gradients.py    writes lessons/logs/gradients.json (about 1 minute on one core)

Growth is the factor of the squared norm of the gradient from one layer to the one below it: dense nets of 50 layers of
256 units and the convolutional nets of 20 layers, over initial scale, batch norm and shortcuts. Agreement is the
autocorrelation, one point apart, of the slopes of nets of 200 units along a line of 256 inputs, as in lesson 7.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from tinyres import models
from tinyres.flow.logs import write_log
from tinyres.flow.measures.initial import initial_gradients
from tinyres.flow.measures.shattered import shattering
from tinyres.flow.testbed import digits_arrays
from tinyres.models.dense import DenseNet

SEEDS = (0, 1, 2)
SCALES = (0.5, 1.0, 1.5)
DEPTHS = {"plain, no batch norm": (24,), "plain, batch norm": (1, 5, 10, 24), "residual, batch norm": (24, 50)}


def growth() -> list[dict[str, Any]]:
    """Growth for each kind of net, scale, batch norm, shortcut and seed."""
    flat, images = digits_arrays(), digits_arrays(flat=False)

    def dense(shortcut: bool, seed: int) -> DenseNet:
        return DenseNet(50, width=256, shortcut=float(shortcut), seed=seed)

    def conv(shortcut: bool, seed: int) -> Any:
        return models.create("resnet20" if shortcut else "plain20", in_channels=1, seed=seed)

    rows = []
    for kind, build, x, y in (("dense-50", dense, flat.x, flat.y), ("conv-20", conv, images.x, images.y)):
        found = initial_gradients(build, x[:256], y[:256], scales=SCALES, seeds=SEEDS)
        columns = zip(found.scale, found.batch_norm, found.shortcut, found.seed, found.growth.tolist(), strict=True)
        rows += [
            {"net": kind, "scale": scale, "batch_norm": norm, "shortcut": shortcut, "seed": seed, "growth": value}
            for scale, norm, shortcut, seed, value in columns
        ]
        print(kind, "done", flush=True)
    return rows


def agreement() -> list[dict[str, Any]]:
    """Autocorrelation at lag 1 for each kind of net, depth and seed."""
    points = np.linspace(-2, 2, 256, dtype=np.float32)
    line = np.stack([points, np.ones_like(points)], axis=1)
    rows = []
    for kind, depths in DEPTHS.items():
        settings: dict[str, Any] = {"shortcut": float("residual" in kind), "batch_norm": "no batch norm" not in kind}
        for units in depths:
            for seed in SEEDS:
                net = DenseNet(units, width=200, inputs=2, num_classes=1, seed=seed, **settings)
                lag1 = float(shattering(net, line, along=[1, 0]).acf[1])
                rows.append({"net": kind, "units": units, "seed": seed, "lag1": lag1})
    return rows


if __name__ == "__main__":
    write_log(
        "gradients",
        {"growth": growth(), "agreement": agreement()},
        made_by="python lessons/experiments/gradients.py",
        data="256 digits; a line of 256 inputs",
        seeds=SEEDS,
    )
