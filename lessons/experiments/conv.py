"""Convolutional nets on digits: ResNet-110 with and without warm-up, and plain-56 against ResNet-56 at five rates.

    python lessons/experiments/conv.py         writes lessons/logs/conv.json (about 25 minutes on one idle core)

12 epochs of batches of 64, the rate divided by 10 at 75 %; 144 of the 1,437 training images are held out. The warm-up
is the paper's: 0.01 until the running training error is below 80 %, then 0.1. A log that is there already is continued,
and runs missing from it are made in the order of `wanted`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tinyres.errors import DataError, TrainingError
from tinyres.flow.logs import read_log, write_log
from tinyres.train import Config, fit

EPOCHS, STEPS = 12, 21  # 1,293 images in batches of 64
RATES = (0.3, 0.1, 0.03, 0.01, 0.003)


def wanted() -> list[dict[str, Any]]:
    """Settings of the runs, the most telling first."""
    warm = [
        {"part": "warm-up", "net": "resnet110", "warmup": warmup, "lr": 0.1, "seed": seed}
        for seed in (0, 1, 2)
        for warmup in ("paper", "none")
    ]
    sweep = [
        {"part": "depth", "net": net, "warmup": "none", "lr": lr, "seed": seed}
        for seed in (0, 1, 2)
        for lr in RATES
        for net in ("plain56", "resnet56")
    ]
    return warm + sweep


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """One run: its errors every third epoch, or where it stopped being a number."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            model=settings["net"], lr=settings["lr"], seed=settings["seed"], warmup=settings["warmup"], epochs=EPOCHS,
            validation=0.1, clean_train_error=True, evaluate_every=3 * STEPS, checkpoint_every=10**6, runs=folder,
        )  # fmt: skip
        try:
            result = fit(config)
        except TrainingError as error:
            return settings | {"diverged": str(error)}
    if result.interrupted:
        sys.exit("interrupted: a run that was stopped early is not kept.")
    names = ("step", "train_error", "clean_train_error", "validation_error", "test_error")
    return settings | {name: [round(float(line[name]), 5) for line in result.history] for name in names}


def main() -> None:
    try:
        runs = read_log("conv")["runs"]
    except DataError:
        runs = {}
    for settings in wanted():
        key = "{net} lr {lr} warm-up {warmup} seed {seed}".format(**settings)
        if key in runs:
            continue
        runs[key] = run(settings)
        print(key, runs[key].get("clean_train_error", ["diverged"])[-1], flush=True)
        write_log(
            "conv",
            {"runs": runs, "rates": RATES, "epochs": EPOCHS, "batch": 64},
            made_by="python lessons/experiments/conv.py",
            data="digits, 1,293 for training, 144 for validation, 360 for testing",
            seeds=sorted({each["seed"] for each in runs.values()}),
        )


if __name__ == "__main__":
    main()
