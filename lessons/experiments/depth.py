"""Plain against residual dense nets on digits: by depth at one learning rate, and each net at its best of five.

    python lessons/experiments/depth.py        writes lessons/logs/depth.json (about 12 minutes on one core)

10 to 100 units of one layer, width 64, batch norm; SGD with momentum 0.9, batch 64, 15 epochs, the rate divided by 10
at 75 %. 144 of the 1,437 training images are held out: the best rate of a net is the one with the lowest median
validation error over the seeds, and only then are its test errors looked at. A log that is there already is continued.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.testbed import History, digits_arrays, train
from tinyres.models.dense import DenseNet

NETS = {"plain": 0.0, "residual": 1.0}
SEEDS = (0, 1, 2)
RATES = (0.3, 0.1, 0.03, 0.01, 0.003)
COMMON = 0.1
SWEPT, OTHERS = (10, 18, 54), (20, 30, 100)
THRESHOLDS = (0.5, 0.2, 0.1, 0.05, 0.02)
CURVES = ("loss", "running_error", "train_error", "validation_error", "test_error")


def summary(history: History) -> dict[str, Any]:
    """The curves of a run, epoch by epoch, and the steps to each threshold of the running error."""
    curves = {name: [round(float(value), 5) for value in getattr(history, name)] for name in CURVES}
    return curves | {
        "steps_to": {str(error): history.steps_to(error) for error in THRESHOLDS},
        "diverged": history.diverged,
    }


def main() -> None:
    data = digits_arrays().hold_out(144)
    try:
        runs = read_log("depth")["runs"]
    except DataError:
        runs = {}
    wanted = [(units, rate) for units in SWEPT for rate in RATES] + [(units, COMMON) for units in OTHERS]
    for (units, rate), (name, shortcut), seed in itertools.product(wanted, NETS.items(), SEEDS):
        key = f"{name}-{units} lr {rate} seed {seed}"
        if key in runs:
            continue
        history = train(DenseNet(units, shortcut=shortcut, seed=seed), data, lr=rate, seed=seed)
        runs[key] = {"net": name, "units": units, "lr": rate, "seed": seed} | summary(history)
        print(key, runs[key]["train_error"][-1], runs[key]["validation_error"][-1], flush=True)
        write_log(
            "depth",
            {"runs": runs, "rates": RATES, "common": COMMON, "thresholds": THRESHOLDS, "epochs": 15, "batch": 64},
            made_by="python lessons/experiments/depth.py",
            data="digits, 1,293 for training, 144 for validation, 360 for testing",
            seeds=SEEDS,
        )


if __name__ == "__main__":
    main()
