"""benchmarks/step_vs_torch.py: one file a net, all contenders, the ratio to PyTorch's eager channels-last step."""

from __future__ import annotations

import json
import re
import statistics

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.mark.slow
def test_two_nets_and_any_choice_of_kernels(tmp_path, script):
    kernels = ("default", "numba.winograd", "numpy", "all=numpy,relu=naive")
    done = script(
        "step_vs_torch.py", "--models", "resnet8", "plain8", "--batch", 2, "--size", 8, "--repeats", 3, "--threads", 1,
        "--warmup", 0, "--out", tmp_path, "--backends", *kernels,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for model in ("resnet8", "plain8"):
        log = json.loads((tmp_path / f"step_vs_torch-{model}-batch2.json").read_text())
        assert list(log["steps"]) == [*(f"tinyres {name}" for name in kernels), "torch", "torch channels-last"]
        assert (log["settings"]["model"], log["settings"]["threads"]) == (model, 1)
        reference = log["steps"]["torch channels-last"]["seconds"]
        for entry in log["steps"].values():
            assert entry["ratio"] == statistics.median(a / b for a, b in zip(entry["seconds"], reference, strict=True))
            assert entry["images_per_second"] == 2 / entry["median"]
    losses = [float(value) for value in re.findall(r" (\d+\.\d{6})\b", done.stdout.partition("first losses:")[2])]
    losses = losses[: len(kernels) + 2]
    assert max(losses) - min(losses) < 1e-4


@pytest.mark.slow
def test_a_choice_that_does_not_exist(script):
    done = script("step_vs_torch.py", "--models", "resnet8", "--batch", 2, "--size", 8, "--backends", "nimba")
    assert done.returncode
    assert "did you mean 'numba'" in done.stderr
    assert "Traceback" not in done.stderr
