"""Paths, lesions and responses of trained dense nets on digits, with and without batch norm, for lessons 8, 9 and 11.

    python lessons/experiments/dense_blocks.py

Units of one layer, width 64; SGD with momentum 0.9, batch 64, 15 epochs, the rate divided by 10 at 75 %. One net after
the other is added to the log, and nets that are in it already are not trained again.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from block_numbers import lesions_of, paths_of

from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.measures.response import responses
from tinyres.flow.measures.signal import signal_propagation
from tinyres.flow.testbed import Arrays, digits_arrays, train
from tinyres.models.dense import DenseNet

LOG = "dense_blocks"
SEEDS = (0, 1, 2)
WITH_NORM: dict[str, dict[str, Any]] = {
    "plain-10": {"units": 10, "shortcut": 0.0},
    **{f"residual-{units}": {"units": units} for units in (10, 54, 30, 100)},
}
BARE: dict[str, tuple[float, dict[str, Any]]] = {  # without batch norm: learning rate and settings
    "bare-54": (0.1, {"units": 54}),
    "scaled-54": (0.03, {"units": 54, "scale": 1 / math.sqrt(54)}),
    "skipinit-54": (0.1, {"units": 54, "scale": "skipinit"}),
    "skipinit-100": (0.1, {"units": 100, "scale": "skipinit"}),
    "skipinit-100 slow": (0.03, {"units": 100, "scale": "skipinit"}),
}


def run(name: str, seed: int, data: Arrays) -> dict[str, Any]:
    """Train one net and measure it."""
    if name in BARE:
        lr, settings = BARE[name]
        net = DenseNet(batch_norm=False, seed=seed, **settings)
        history = train(net, data, lr=lr, seed=seed, every=15)
        return {
            "lr": lr, "loss": history.loss, "running_error": history.running_error, "diverged": history.diverged,
            "train_error": history.train_error[-1], "test_error": history.test_error[-1],
        }  # fmt: skip
    net = DenseNet(seed=seed, **WITH_NORM[name])
    numbers: dict[str, Any] = {"lr": 0.1}
    if name == "residual-54":
        numbers["paths_at_start"] = paths_of(net, data)
    history = train(net, data, seed=seed, every=15)
    numbers |= {"train_error": history.train_error[-1], "test_error": history.test_error[-1]}
    numbers["responses"] = responses(net, data.x[:256], after="weights").std
    if name.startswith("residual"):
        signal = signal_propagation(net, data.x[:256], statistics="running")
        numbers |= {"ratio": signal.ratio[1:], "variance": signal.stream[:, 1], "branch": np.sqrt(signal.branch[1:])}
    if name == "residual-54":
        numbers["paths"] = paths_of(net, data)
    if name in ("plain-10", "residual-10", "residual-54"):
        numbers["lesions"] = lesions_of(net, data)
    return numbers


def main() -> None:
    """Add to the log what is missing."""
    data = digits_arrays()
    try:
        runs: dict[str, Any] = read_log(LOG)["runs"]
    except DataError:
        runs = {}
    for seed in SEEDS:
        for name in (*WITH_NORM, *BARE):
            if f"{name} {seed}" not in runs:
                found = runs[f"{name} {seed}"] = run(name, seed, data)
                print(name, seed, found["train_error"], found["test_error"], flush=True)
                write_log(
                    LOG,
                    {"runs": runs},
                    made_by="python lessons/experiments/dense_blocks.py",
                    data="digits, 1,437 for training and 360 for testing; paths on the first 64, responses on 256",
                    seeds=SEEDS,
                )


if __name__ == "__main__":
    main()
