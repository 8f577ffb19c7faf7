"""Gradients of convolutional nets while they train on digits: plain and residual, 20 and 56 layers.

    python lessons/experiments/gradient_flow.py     writes lessons/logs/gradient_flow.json (10 minutes on a core)

12 epochs of 23 steps, batch 64, rate 0.03 divided by 10 at 75 %, three seeds. The recorder samples the first step of
each epoch: norm of the gradient at the output of the last layer of every depth, and for every residual block the two
parts of the gradient that arrives at its input. At a rate of 0.1 only the errors of the 56-layer nets are kept. A log
that is there already is continued.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from tinyres import flow, models
from tinyres.errors import DataError
from tinyres.flow.logs import read_log, write_log
from tinyres.flow.record import SPLIT
from tinyres.flow.testbed import digits_arrays, train

LOG = "gradient_flow"
SEEDS = (0, 1, 2)
NETS = ("plain20", "resnet20", "plain56", "resnet56")
EPOCHS, PER_EPOCH = 12, 23
RATE, HIGHER = 0.03, 0.1


def rounded(values: Any) -> Any:
    """Five significant digits, in lists."""
    return [float(f"{value:.5g}") for value in values] if np.ndim(values) == 1 else [rounded(row) for row in values]


def run(name: str, seed: int, lr: float, data: Any) -> dict[str, Any]:
    """Train one net and keep its errors, and what the recorder saw."""
    net = models.create(name, in_channels=1, seed=seed)
    with flow.Recorder(net, every=PER_EPOCH) as recorder:
        history = train(
            net, data, epochs=EPOCHS, lr=lr, seed=seed, every=EPOCHS, watch=lambda step: recorder.step(updated=False)
        )
    numbers = {
        "loss": rounded(history.loss), "running_error": rounded(history.running_error),
        "train_error": float(history.train_error[-1]), "test_error": float(history.test_error[-1]),
    }  # fmt: skip
    return numbers if lr == HIGHER else numbers | flow_of(recorder.record)


def flow_of(record: flow.Record) -> dict[str, Any]:
    """Gradient norms by depth, and the parts of the gradient at each block."""
    last = [int(np.flatnonzero(record.depth == depth)[-1]) for depth in np.unique(record.depth)]
    numbers = {
        "step": record.step, "depth": record.depth[last], "gradient_norm": rounded(record.gradient_norm[:, last]),
    }  # fmt: skip
    if len(record.block):
        numbers |= {"block": record.block, "block_depth": record.block_depth}
        numbers |= {each: rounded(getattr(record, each)) for each in SPLIT}
    return numbers


def main() -> None:
    data = digits_arrays(flat=False)
    try:
        runs = read_log(LOG)["runs"]
    except DataError:
        runs = {}
    wanted = [(f"{name} {seed}", name, seed, RATE) for seed in SEEDS for name in NETS]
    wanted += [(f"{name} {seed} at {HIGHER}", name, seed, HIGHER) for seed in SEEDS for name in NETS[2:]]
    for key, name, seed, lr in wanted:
        if key in runs:
            continue
        runs[key] = run(name, seed, lr, data)
        print(key, runs[key]["train_error"], runs[key]["test_error"], flush=True)
        write_log(
            LOG,
            {"runs": runs, "epochs": EPOCHS, "batch": 64, "lr": RATE, "higher": HIGHER},
            made_by="python lessons/experiments/gradient_flow.py",
            data="digits, 1,437 for training and 360 for testing",
            seeds=SEEDS,
        )


if __name__ == "__main__":
    main()
