"""benchmarks/gpu_table.py: what has no record says so, and a record fills its row; README has the table as it comes."""

from __future__ import annotations

import json
from pathlib import Path

import gpu_table

README = Path(__file__).parents[2] / "README.md"


def rows(text):
    return {line.split(" | ")[0][2:]: line.split(" | ")[2][:-2] for line in text.splitlines()[2:]}


def test_without_a_record_nothing_is_claimed(tmp_path):
    found = rows(gpu_table.table(tmp_path / "none.json"))
    assert set(found.values()) == {"not yet run"}
    assert len(found) == len(gpu_table.ROWS)


def test_a_section_fills_its_rows(tmp_path):
    step = {"layer": "resnet20", "precision": "tf32", "mode": "graph", "median": 5e-4, "images_per_second": 256_000}
    others = [step | {"layer": name, "median": 1e-3} for name in ("resnet56", "resnet110")]
    peer = {"model": "resnet20", "precision": "tf32", "median": 1e-3}
    repeat = {"status": "done", "tf32": {"twice_the_same": True, "graph_is_eager": False}}
    record = {
        "gpu": {"name": "a GPU"},
        "sections": {
            "steps": {"rows": [step, *others], "torch": [peer]},
            "repeat": repeat,
            "conformance": {"rows": [{"right": True}, {"right": False}]},
        },
    }
    (tmp_path / "gpu.json").write_text(json.dumps(record))
    text = gpu_table.table(tmp_path / "gpu.json")
    assert text.startswith("| what | aim | on a GPU |")
    found = rows(text)
    assert found["training step, batch 128, in a graph, TF32"].startswith(
        "20: 0.50 ms, 256,000 images/s, 2.00 times PyTorch's speed; 56: 1.00 ms"
    )
    assert found["64,000 iterations of ResNet-20"] == "32 s by the time of a step"
    assert found["two runs of 200 steps, byte for byte"] == "tf32 yes"
    assert found["captured and eager steps, byte for byte"] == "tf32 NO"
    assert found["every kernel and precision against the float64 oracle"] == "1 right, 1 wrong"
    assert found["the same, bfloat16 products"] == found["launching nothing"] == "not yet run"


def test_the_readme_has_the_table():
    assert gpu_table.table() in README.read_text(encoding="utf-8")
