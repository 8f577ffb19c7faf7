"""benchmarks/performance_table.py: a row a net, the median over rounds of PyTorch's time by ours."""

from __future__ import annotations

import json

import performance_table


def test_a_row_is_the_time_and_how_much_faster_it_is(tmp_path, monkeypatch):
    seconds = {
        "tinyres default": [0.1, 0.2, 0.4],
        "torch": [0.4, 0.4, 0.4],  # 4, 2 and 1 times as long, in the same rounds
        "torch channels-last": [0.15, 0.3, 0.6],
        "torch compiled": [0.05, 0.1, 0.8],
    }
    steps = {name: {"seconds": times, "median": 0.2, "images_per_second": 20.4} for name, times in seconds.items()}
    (tmp_path / "step_vs_torch-plain8-batch4.json").write_text(json.dumps({"steps": steps}))
    monkeypatch.setattr(performance_table, "RESULTS", tmp_path)
    head, rule, row = performance_table.table(("plain8",), 4).splitlines()
    assert head == (
        "| network | a step | images/s | over PyTorch eager, channels last | over PyTorch eager "
        "| over PyTorch `torch.compile` |"
    )
    assert rule == "|" + " --- |" * 6
    assert row == "| plain8 | 200 ms | 20 | 1.50 | 2.00 | 0.50 |"
