"""benchmarks/flow_cost.py: times of every round, the median of their ratios, and equal weights in the end."""

from __future__ import annotations

import json
import statistics

import pytest


@pytest.mark.slow
def test_a_small_net(tmp_path, script):
    done = script(
        "flow_cost.py", "--model", "resnet8", "--batch", 4, "--size", 8, "--every", 2, "--rounds", 3,
        "--threads", 1, "--kernels", "all=numpy", "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "flow_cost-resnet8-batch4-numpy.json").read_text())
    assert len(log["bare"]) == len(log["recorded"]) == 3
    cost = statistics.median(b / a - 1 for a, b in zip(log["bare"], log["recorded"], strict=True))
    assert log["cost"] == pytest.approx(cost)
    assert f"{log['cost']:.1%}" in done.stdout
