"""What a kernel of one's own does to a whole step: the ratio to the default kernels, in turns; none on an emulation."""

from __future__ import annotations

import re
import time

import numpy as np

from tinyres.bench.whole import against_default
from tinyres.kernels import kernel


def test_the_ratio_of_a_slow_kernel(own_kernels, monkeypatch):
    monkeypatch.setattr("tinyres.bench.whole.ROUNDS", 2)

    @kernel("relu", "mine")
    def relu(x, *, out):
        time.sleep(0.02)
        np.maximum(x, 0, out=out)

    said = against_default({"relu": "mine"}, "resnet8", (8, 8, 1), 3, 2)
    match = re.match(r"a step with relu=mine takes ([\d.]+) times as long as with the default kernels: ", said)
    assert match
    assert float(match[1]) > 1.5  # seven activations of 20 ms are added to a step of a few
    assert said.endswith("batch 2, the median of 2 rounds in turns.")


def test_an_emulated_gpu_has_no_ratio(monkeypatch):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    said = against_default({"conv2d": "mine"}, "resnet8", (8, 8, 1), 3, 2, device="cuda")
    assert said == "a step with conv2d=mine is not compared with the default kernels: an emulated GPU has no clock."
