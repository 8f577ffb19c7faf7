"""Both ends of the Hessian's spectrum of dense nets on digits, two ways, and slices through the loss after training.

    python lessons/experiments/dense_curvature.py     writes lessons/logs/dense_curvature.json (3 minutes on one core)

Plain and residual nets of 10, 20 and 30 units before training: 256 images, batch norm as in training. "Second order"
sees the smooth pieces between the kinks of the ReLUs; "differences" of gradients, at a step of the size of a weight,
see the kinks too. Then nets of 20 units, trained for 15 epochs at rate 0.1, along three random directions each.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tinyres.flow.logs import write_log
from tinyres.flow.measures.hessian import curvature
from tinyres.flow.measures.landscape import landscape
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet

NETS = {"plain": 0.0, "residual": 1.0}
SEEDS = (0, 1, 2)
DEPTHS = (10, 20, 30)
METHODS = ("second order", "differences")


def main() -> None:
    data = digits_arrays()
    x, y = data.x[:256], data.y[:256]
    eigenvalues: list[dict[str, Any]] = []
    slices: list[dict[str, Any]] = []

    def keep() -> None:
        write_log(
            "dense_curvature",
            {"eigenvalues": eigenvalues, "slices": slices},
            made_by="python lessons/experiments/dense_curvature.py",
            data="digits, 1,437 for training, 360 for testing; 256 training images measured",
            seeds=SEEDS,
        )

    for method in METHODS:
        for units in DEPTHS:
            for name, shortcut in NETS.items():
                for seed in SEEDS:
                    net = DenseNet(units, shortcut=shortcut, seed=seed)
                    found = curvature(net, x, y, method=method, iterations=20, tolerance=5e-2)
                    row = {"net": name, "units": units, "seed": seed, "method": method}
                    errors = [found.largest_error, found.smallest_error]
                    eigenvalues.append(row | {"largest": found.largest, "smallest": found.smallest, "errors": errors})
                    print(eigenvalues[-1], flush=True)
                    keep()
    for name, shortcut in NETS.items():
        for seed in SEEDS:
            net = DenseNet(20, shortcut=shortcut, seed=seed)
            history = train(net, data, seed=seed, every=15)
            for direction in range(3):
                line = landscape(net, x, y, reach=0.5, points=21, seed=direction)
                row = {"net": name, "units": 20, "seed": seed, "direction": direction}
                slices.append(row | {"a": line.axes[0], "loss": line.loss, "train_error": history.train_error[-1]})
            keep()


if __name__ == "__main__":
    main()
