"""The README's table of training steps, from the JSON files that `step_vs_torch.py` left.

    python benchmarks/performance_table.py

A speed-up is the median, over rounds, of PyTorch's time by ours in the same round: above 1 tinyres is faster.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PEERS = {"torch channels-last": "eager, channels last", "torch": "eager", "torch compiled": "`torch.compile`"}
OURS = "tinyres default"


def table(models: tuple[str, ...] = ("resnet20", "resnet56", "resnet110"), batch: int = 128) -> str:
    """Markdown: a row a net with the time of its step, images a second and the speed-up over each way of PyTorch."""
    heads = ["network", "a step", "images/s", *(f"over PyTorch {name}" for name in PEERS.values())]
    lines = [heads, ["---"] * len(heads)]
    for model in models:
        steps = json.loads((RESULTS / f"step_vs_torch-{model}-batch{batch}.json").read_text(encoding="utf-8"))["steps"]
        ours = steps[OURS]
        speedups = [_speedup(steps[peer]["seconds"], ours["seconds"]) for peer in PEERS]
        lines.append([model, f"{1000 * ours['median']:.0f} ms", f"{ours['images_per_second']:.0f}", *speedups])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _speedup(theirs: list[float], ours: list[float]) -> str:
    return f"{statistics.median(a / b for a, b in zip(theirs, ours, strict=True)):.2f}"


if __name__ == "__main__":
    print(table())
