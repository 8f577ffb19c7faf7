"""Plain dense nets without batch norm, whose gradients keep their norm at the start: do they train?

    python lessons/experiments/vanishing.py     writes lessons/logs/vanishing.json (2 minutes on a core)

54 units, width 64, He's weights, digits; SGD with momentum 0.9, batch 64, 15 epochs, five rates, each divided by 10 at
75 %, three seeds. A log that is there already is continued.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.testbed import digits_arrays, train
from tinyres.models.dense import DenseNet

LOG = "vanishing"
SEEDS, RATES = (0, 1, 2), (0.1, 0.03, 0.01, 0.003, 0.001)


def main() -> None:
    data = digits_arrays()
    try:
        runs = read_log(LOG)["runs"]
    except DataError:
        runs = []
    done = [(run["lr"], run["seed"]) for run in runs]
    for lr, seed in itertools.product(RATES, SEEDS):
        if (lr, seed) in done:
            continue
        net = DenseNet(54, shortcut=0.0, batch_norm=False, seed=seed)
        history = train(net, data, lr=lr, seed=seed, every=15)
        error = {"train_error": float(history.train_error[-1]), "diverged": history.diverged}
        runs.append({"lr": lr, "seed": seed} | error)
        print(runs[-1], flush=True)
        write_log(
            LOG,
            {"runs": runs, "rates": RATES, "epochs": 15, "batch": 64, "units": 54},
            made_by="python lessons/experiments/vanishing.py",
            data="digits, 1,437 for training, 360 for testing",
            seeds=SEEDS,
        )


if __name__ == "__main__":
    main()
