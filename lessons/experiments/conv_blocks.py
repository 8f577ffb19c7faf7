"""Paths, lesions and responses of trained convolutional nets on digits, for lessons 8, 9 and 11.

    python lessons/experiments/conv_blocks.py

Trains plain and residual nets of the paper's shapes, three seeds each, and takes every measure on each. One net after
the other is added to the log, and nets that are in it already are not trained again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from block_numbers import lesions_of, paths_of

from tinyres import models
from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.measures.response import responses
from tinyres.flow.measures.signal import signal_propagation
from tinyres.flow.testbed import Arrays, digits_arrays, train

LOG = "conv_blocks"
SEEDS = (0, 1, 2)
EPOCHS = {"plain20": 20, "resnet20": 20, "resnet56": 20, "resnet110": 30}
ROUNDS = ("plain20", "resnet20", "resnet56"), ("resnet110",)
WARMUP = {"resnet56": 92, "resnet110": 92}  # steps at lr 0.01, four epochs: without them some seeds are lost
BATCH, PER_EPOCH = 64, 23


def rate(name: str, epochs: int) -> Any:
    """0.1, a tenth of it after three quarters; the deepest nets warm up."""

    def at(step: int) -> float:
        if step < WARMUP.get(name, 0):
            return 0.01
        return 0.1 if step < 0.75 * epochs * PER_EPOCH else 0.01

    return at


def run(name: str, seed: int, data: Arrays) -> dict[str, Any]:
    """Train one net and measure it."""
    net = models.create(name, in_channels=1, seed=seed)
    residual = name.startswith("resnet")
    numbers: dict[str, Any] = {"paths_at_start": paths_of(net, data)} if residual else {}
    epochs = EPOCHS[name]
    history = train(net, data, epochs=epochs, batch=BATCH, lr=rate(name, epochs), seed=seed, every=epochs)
    numbers |= {"epochs": epochs, "train_error": history.train_error[-1], "test_error": history.test_error[-1]}
    print(name, seed, numbers["train_error"], numbers["test_error"], flush=True)
    if residual:
        numbers["paths"] = paths_of(net, data)
        signal = signal_propagation(net, data.x[:256], statistics="running")
        numbers["ratio"] = signal.ratio[1:]
    strength, batch = responses(net, data.x[:256]), responses(net, data.x[:256], statistics="batch")
    numbers["responses"] = {
        "layers": strength.names, "depth": strength.depth, "std": strength.std, "std_batch": batch.std
    }  # fmt: skip
    return numbers | {"lesions": lesions_of(net, data)}


def main() -> None:
    """Add to the log what is missing."""
    data = digits_arrays(flat=False)
    try:
        runs: dict[str, Any] = read_log(LOG)["runs"]
    except DataError:
        runs = {}
    for seed, name in ((seed, name) for names in ROUNDS for seed in SEEDS for name in names):
        if f"{name} {seed}" in runs:
            continue
        runs[f"{name} {seed}"] = run(name, seed, data)
        write_log(
            LOG,
            {"runs": runs},
            made_by="python lessons/experiments/conv_blocks.py",
            data="digits, 1,437 for training and 360 for testing; paths on the first 64, responses on 256",
            seeds=SEEDS,
        )


if __name__ == "__main__":
    main()
