"""Both ends of the Hessian's spectrum of dense nets on digits, and slices through the loss after training.

    python lessons/experiments/dense_curvature.py     writes lessons/logs/dense_curvature.json (2 minutes on one core)

Plain and residual nets of 10, 20 and 30 units before training: second-order gradients on 256 images, batch norm as in
training. Then nets of 20 units, trained for 15 epochs at rate 0.1, along three random directions each. A log that is
there already is continued.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.measures.hessian import curvature
from tinyres.flow.measures.landscape import landscape
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet

NETS = {"plain": 0.0, "residual": 1.0}
SEEDS = (0, 1, 2)
DEPTHS = (10, 20, 30)


def main() -> None:
    data = digits_arrays()
    x, y = data.x[:256], data.y[:256]
    try:
        log = read_log("dense_curvature")
    except DataError:
        log = {"eigenvalues": [], "slices": []}
    eigenvalues, slices = log["eigenvalues"], log["slices"]

    def known(rows: list[dict[str, Any]], wanted: dict[str, Any]) -> bool:
        return any(wanted.items() <= row.items() for row in rows)

    def keep() -> None:
        write_log(
            "dense_curvature",
            {"eigenvalues": eigenvalues, "slices": slices},
            made_by="python lessons/experiments/dense_curvature.py",
            data="digits, 1,437 for training, 360 for testing; 256 training images measured",
            seeds=SEEDS,
        )

    for units, (name, shortcut), seed in itertools.product(DEPTHS, NETS.items(), SEEDS):
        row = {"net": name, "units": units, "seed": seed}
        if not known(eigenvalues, row):
            found = curvature(DenseNet(units, shortcut=shortcut, seed=seed), x, y, iterations=20, tolerance=5e-2)
            errors = [found.largest_error, found.smallest_error]
            ends = {"largest": found.largest, "smallest": found.smallest, "errors": errors}
            eigenvalues.append(row | {"method": "second order"} | ends)
            print(eigenvalues[-1], flush=True)
            keep()
    for (name, shortcut), seed in itertools.product(NETS.items(), SEEDS):
        row = {"net": name, "units": 20, "seed": seed}
        if not known(slices, row):
            net = DenseNet(20, shortcut=shortcut, seed=seed)
            history = train(net, data, seed=seed, every=15)
            for direction in range(3):
                line = landscape(net, x, y, reach=0.5, points=21, seed=direction)
                found = {"direction": direction, "a": line.axes[0], "loss": line.loss}
                slices.append(row | found | {"train_error": history.train_error[-1]})
            print(name, seed, history.train_error[-1], flush=True)
            keep()


if __name__ == "__main__":
    main()
