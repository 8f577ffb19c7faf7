"""Convolutional nets on digits: shortcuts of options A, B and C; and plain nets deepened by identity layers.

    python lessons/experiments/shortcuts.py     writes lessons/logs/shortcuts.json (about 2 minutes on one core)

Options: 20 layers, three seeds, 6 epochs, batch 64, rate 0.1 divided by 10 at 75 %. Deepening: a plain net of 20
layers is trained like that, deepened to 56 that compute the same, and trained on for 2 epochs at a constant rate.
(Plain nets of 56 layers trained from random weights are in conv_curvature.json.) A log that is there already is
continued.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tinyres import models
from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.measures.deepen import deepened
from tinyres.flow.testbed import History, digits_arrays, error_of, train

SEEDS = (0, 1, 2)
RATES = (0.1, 0.01)


def summary(history: History) -> dict[str, Any]:
    """Loss of each epoch and the errors at the end."""
    return {
        "loss": [round(float(value), 5) for value in history.loss],
        "train_error": round(float(history.train_error[-1]), 5),
        "test_error": round(float(history.test_error[-1]), 5),
    }


def main() -> None:
    data = digits_arrays(flat=False)
    try:
        runs = read_log("shortcuts")["runs"]
    except DataError:
        runs = {}

    def keep(key: str, found: dict[str, Any]) -> None:
        runs[key] = found
        print(key, found, flush=True)
        write_log(
            "shortcuts",
            {"runs": runs, "epochs": 6, "batch": 64, "lr": 0.1, "rates": RATES},
            made_by="python lessons/experiments/shortcuts.py",
            data="digits, 1,437 for training, 360 for testing",
            seeds=SEEDS,
        )

    for seed in SEEDS:
        if f"deepened seed {seed}" not in runs:
            shallow = models.create("plain20", in_channels=1, seed=seed)
            before = summary(train(shallow, data, epochs=6, seed=seed, every=6))
            found: dict[str, Any] = {"shallow": before}
            deep = deepened(shallow, 56, data.x)
            found["deep"] = {part: round(error_of(deep, *pair), 5) for part, pair in _parts(data).items()}
            for lr in RATES:
                deep = deepened(shallow, 56, data.x)
                found[f"trained on at {lr}"] = summary(train(deep, data, epochs=2, lr=lr, drop=1, seed=seed, every=2))
            keep(f"deepened seed {seed}", found)
    for option in "ABC":
        for seed in SEEDS:
            if (key := f"resnet20 {option} seed {seed}") not in runs:
                net = models.create("resnet20", in_channels=1, shortcut=option, seed=seed)
                size = {"parameters": sum(p.size for p in net.parameters())}
                keep(key, size | summary(train(net, data, epochs=6, seed=seed, every=6)))


def _parts(data: Any) -> dict[str, tuple[Any, Any]]:
    return {"train_error": (data.x, data.y), "test_error": (data.x_test, data.y_test)}


if __name__ == "__main__":
    main()
