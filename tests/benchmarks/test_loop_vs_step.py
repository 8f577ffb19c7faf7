"""benchmarks/loop_vs_step.py: both speeds of every round, and the median of their ratios."""

from __future__ import annotations

import json
import statistics

import pytest


@pytest.mark.slow
def test_a_small_net(tmp_path, script):
    done = script(
        "loop_vs_step.py", "--model", "resnet8", "--batch", 4, "--size", 8, "--iterations", 3, "--rounds", 3,
        "--threads", 1, "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "loop_vs_step-resnet8-batch4.json").read_text())
    assert len(log["loop"]) == len(log["bare"]) == 3
    assert min(*log["loop"], *log["bare"]) > 0
    assert log["share"] == statistics.median(a / b for a, b in zip(log["loop"], log["bare"], strict=True))
    assert f"{log['share']:.1%}" in done.stdout
