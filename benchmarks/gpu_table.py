"""The README's table of what a GPU is expected to do and did, from the record that `gpu_suite.py` left.

    python benchmarks/gpu_table.py

Without benchmarks/results/gpu.json, or without a section of it, the answer is "not yet run".
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "results" / "gpu.json"
NOT_YET = "not yet run"
PAPER = 64_000  # iterations
Sections = dict[str, Any]


def table(path: Path = RECORD) -> str:
    """Markdown: what, the aim, and what was measured."""
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"sections": {}}
    where = f"on {record['gpu']['name']}" if "gpu" in record else "measured"
    lines = [["what", "aim", where], ["---"] * 3]
    for what, aim, answer in ROWS:
        try:
            said = answer(record["sections"])
        except (KeyError, StopIteration, statistics.StatisticsError):  # that section, or a part of it, was not run
            said = NOT_YET
        lines.append([what, aim, said])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _right(sections: Sections) -> str:
    rows = sections["conformance"]["rows"]
    wrong, left = sum(not row["right"] for row in rows), len(sections["conformance"].get("left_out", []))
    return f"{len(rows) - wrong} right, {wrong} wrong" + (f", {left} left out" if left else "")


def _step(sections: Sections, model: str, precision: str) -> dict[str, Any]:
    rows = sections["steps"]["rows"]
    return next(r for r in rows if (r["layer"], r["precision"], r["mode"]) == (model, precision, "graph"))


def _against_cudnn(precision: str) -> Callable[[Sections], str]:
    def answer(sections: Sections) -> str:
        said = []
        for model in ("resnet20", "resnet56", "resnet110"):
            ours = _step(sections, model, precision)
            text = f"{model[6:]}: {1e3 * ours['median']:.2f} ms, {ours['images_per_second']:,.0f} images/s"
            peers = sections["steps"].get("torch", [])
            theirs = next((p for p in peers if (p["model"], p["precision"]) == (model, precision)), None)
            said.append(text + (f", {theirs['median'] / ours['median']:.2f} times PyTorch's speed" if theirs else ""))
        return "; ".join(said)

    return answer


def _paper(model: str) -> Callable[[Sections], str]:
    return lambda sections: f"{PAPER * _step(sections, model, 'tf32')['median']:.0f} s by the time of a step"


def _floor(sections: Sections) -> str:
    rows = sections["kernels"]["rows"]
    shares = [r["share_of_roof"] for r in rows if r["kernel"] == "cupy.igemm_tf32" and r["mode"] == "cold"]
    far = sum(share < 0.5 for share in shares)
    return f"{len(shares) - far} of {len(shares)} passes; median {statistics.median(shares):.0%} of the roof"


def _same(key: str) -> Callable[[Sections], str]:
    def answer(sections: Sections) -> str:
        runs = {p: e[key] for p, e in sections["repeat"].items() if isinstance(e, dict) and key in e}
        if not runs:
            raise KeyError(key)
        return ", ".join(f"{precision} {'yes' if same else 'NO'}" for precision, same in runs.items())

    return answer


def _gradients(sections: Sections) -> str:
    distances = sections["gradients"]["distances"]
    return ", ".join(f"{name.removeprefix('gpu ')} {max(values):.0e}" for name, values in distances.items())


def _losses(sections: Sections) -> str:
    means, runs = sections["curves"]["means"], sections["curves"]["last_losses"]
    return f"GPU {means['cuda']:.3f}, CPU {means['cpu']:.3f} ({len(runs['cuda'])} and {len(runs['cpu'])} seeds)"


def _launches(sections: Sections) -> str:
    node = sections["roof"]["float32"]["graph_node_seconds"]
    return f"{1e6 * node:.2f} µs in a graph, {1e6 * sections['latency']['nothing, by cuda.launch']:.1f} µs from Python"


def _sanitizer(sections: Sections) -> str:
    codes = {tool: sections["sanitizer"][tool]["code"] for tool in ("memcheck", "racecheck")}
    return ", ".join(f"{tool} {'none' if code == 0 else f'exit code {code}'}" for tool, code in codes.items())


ROWS: tuple[tuple[str, str, Callable[[Sections], str]], ...] = (
    ("every kernel and precision against the float64 oracle", "all right", _right),
    ("training step, batch 128, in a graph, TF32", "at least PyTorch + cuDNN in a CUDA graph", _against_cudnn("tf32")),
    ("the same, bfloat16 products", "the same", _against_cudnn("bf16")),
    ("the same, float32", "the same", _against_cudnn("full")),
    ("64,000 iterations of ResNet-20", "120 s", _paper("resnet20")),
    ("64,000 iterations of ResNet-110", "480 s", _paper("resnet110")),
    ("convolution passes within twice their memory or arithmetic floor", "all", _floor),
    ("two runs of 200 steps, byte for byte", "the same", _same("twice_the_same")),
    ("captured and eager steps, byte for byte", "the same", _same("graph_is_eager")),
    (
        "gradient at 10 states of ResNet-20, largest distance from float64",
        "that of a CPU in float32; TF32 3e-2",
        _gradients,
    ),
    ("mean loss of the last 100 of 500 steps", "as on the CPU", _losses),
    ("launching nothing", "-", _launches),
    ("findings of compute-sanitizer", "none", _sanitizer),
)

if __name__ == "__main__":
    print(table())
