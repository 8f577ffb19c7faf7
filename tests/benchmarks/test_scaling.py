"""benchmarks/scaling.py: the fit, the price, and a whole quick run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scaling import Arguments, Configuration, fits, line, price, row


def test_a_line_is_found_and_its_residuals_are_relative():
    found = line([20, 56, 110, 1202], [0.5 + 0.01 * d for d in (20, 56, 110, 1202)])
    assert (found["at_depth_0"], found["a_layer"]) == pytest.approx((0.5, 0.01))
    assert max(map(abs, found["relative_residuals"].values())) < 1e-9
    bent = line([20, 56, 110, 1202], [0.2, 0.56, 1.1, 24.04])  # the deepest takes twice what the others promise
    assert bent["relative_residuals"]["1202"] < -0.1
    assert bent["relative_residuals"]["56"] != 0


def entry(seconds, peak):
    return {
        "seconds": seconds,
        "processor_seconds": [2 * s for s in seconds],
        "peak_bytes": peak,
        "idle_bytes": 1,
        "loss": 2.0,
    }


def test_rows_are_medians_of_all_rounds_and_prices_of_each():
    runs = {
        Configuration(8, 4, "kept"): [entry([1.0, 1.2], 100), entry([2.0, 2.0, 9.0], 90)],
        Configuration(8, 4, "recomputed"): [entry([1.65], 40), entry([3.0], 50)],
        Configuration(14, 4, "kept"): [{"failed": "not enough memory"}],
        Configuration(14, 4, "recomputed"): [entry([1.0], 10)],
    }
    rows = [row(point, entries) for point, entries in runs.items()]
    assert rows[0]["median"] == 2.0
    assert rows[0]["processor_median"] == 4.0
    assert rows[0]["images_per_second"] == 2.0
    assert rows[0]["peak_bytes"] == 100
    assert rows[2] == {"depth": 14, "batch": 4, "mode": "kept", "failed": "not enough memory"}
    assert price(runs) == [{"depth": 8, "batch": 4, "time": pytest.approx(1.5), "memory": 0.5}]
    assert fits(rows, Arguments(depths=(8, 14), batch=4)) == {}


@pytest.mark.parametrize("depth", [8, 1201])
def test_a_process_that_fails_says_why(depth):
    made = Configuration(depth, 2, "kept").run(Arguments(size=8, seconds=0.0))
    if depth == 8:
        assert len(made["seconds"]) == 1
        assert made["peak_bytes"] >= made["idle_bytes"] > 1e7
    else:
        assert "1201 is not such a number" in made["failed"]


@pytest.mark.slow
def test_a_quick_run(tmp_path, script):
    done = script("scaling.py", "--quick", "--out", tmp_path, "--threads", 1, "--modes", "kept")
    assert done.returncode == 0, done.stderr
    log = json.loads((tmp_path / "scaling.json").read_text())
    assert [(r["depth"], r["batch"]) for r in log["rows"]] == [(8, 4), (14, 4), (20, 4), (8, 2)]
    assert all(len(r["seconds"]) == 2 for r in log["rows"])
    assert log["fits"]["kept"]["seconds"].keys() == {"at_depth_0", "a_layer", "relative_residuals"}
    assert log["settings"]["threads"] == 1
    assert {"numpy", "numba", "tinyres", "python"} == log["versions"].keys()
    assert (tmp_path / "scaling.png").stat().st_size > 10_000
    assert "ms a layer" in done.stdout


@pytest.mark.slow
def test_recomputation_needs_less_memory():
    """Of a step of ResNet-56 on 64 images, the activations are the most by far; what this process holds is no part."""
    held = np.ones(10**8)  # 800 MB
    kept, recomputed = (Configuration(56, 64, mode).run(Arguments(seconds=0.0)) for mode in ("kept", "recomputed"))
    more, less = (made["peak_bytes"] - made["idle_bytes"] for made in (kept, recomputed))
    assert kept["loss"] == recomputed["loss"]
    assert less < 0.75 * more
    assert more < held.nbytes
