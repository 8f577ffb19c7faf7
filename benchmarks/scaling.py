"""How time and memory of a training step grow with depth and with the batch, with and without recomputation.

    python benchmarks/scaling.py                            # depths 20 to 1202, batches 32 to 512
    python benchmarks/scaling.py --depths 20 56 110 --batches --modes kept

Each configuration runs in a process of its own (`one_net.py`), once a round, and the rounds go over all configurations,
so that a slow minute of the machine falls on all depths. Its time is the median of its steps in all rounds, its memory
the largest peak of its process. Time and memory are fitted by straight lines over depth,

    t(d) = a + b d,      minimising the sum of squares of (t(d) - t_d) / t_d,

so that every depth counts the same; the residuals are those relative ones. Processor time, of all threads together, is
fitted as well: other processes, which take turns with this one, lengthen it less. The price of recomputation is the
median over rounds of the ratio of the two times in one round. Results: scaling.json and scaling.png.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import record

HERE = Path(__file__).parent
LIBRARIES = ("numpy", "numba")
UNITS = {"seconds": ("ms", 1e3), "processor_seconds": ("ms", 1e3), "peak_bytes": ("MiB", 2**-20)}  # what is fitted
Mode = Literal["kept", "recomputed"]


@dataclass
class Arguments:
    """Time and peak memory of a training step against depth and batch."""

    depths: tuple[int, ...] = (20, 32, 44, 56, 110, 218, 404, 1202)
    """6n + 2 each, at one batch."""
    batch: int = 128
    """Images in a batch while the depth changes."""
    batches: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Images in a batch, at one depth."""
    depth: int = 56
    """Depth while the batch changes."""
    family: Literal["resnet", "plain"] = "resnet"
    """Kind of net."""
    modes: tuple[Mode, ...] = ("kept", "recomputed")
    """Activations kept for the backward pass, or recomputed there."""
    kernels: str = ""
    """Choice of kernels, as in all=numba; the defaults where there is none."""
    size: int = 32
    """Height and width of an image."""
    rounds: int = 3
    """How often each configuration runs."""
    seconds: float = 4.0
    """Of steps in each run; at least one step, whatever it takes."""
    threads: int = 0
    """0 for all cores."""
    quick: bool = False
    """Tiny nets and images: to see whether it works."""
    out: Path = HERE / "results"
    """Folder of scaling.json and scaling.png."""


@dataclass(frozen=True)
class Configuration:
    """One point: a net, a batch, and what is kept."""

    depth: int
    batch: int
    mode: Mode

    def run(self, arguments: Arguments) -> dict[str, Any]:
        """Its entry of one round, measured in a process of its own; `failed` where that died."""
        command = [sys.executable, str(HERE / "one_net.py"), "--model", f"{arguments.family}{self.depth}"]
        command += ["--batch", str(self.batch), "--size", str(arguments.size), "--kernels", arguments.kernels]
        command += ["--seconds", str(arguments.seconds), "--threads", str(arguments.threads)]
        command += ["--recompute"] if self.mode == "recomputed" else []
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return {"failed": said[-1] if said else f"ended by signal {-done.returncode}"}
        entry: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return entry


def main(arguments: Arguments) -> None:
    """Measure, fit, print, write, draw."""
    if arguments.quick:
        arguments = replace(
            arguments, depths=(8, 14, 20), batch=4, batches=(2, 4), depth=8, size=8, rounds=2, seconds=0.02
        )
    threads = record.set_threads(arguments.threads)
    points = [Configuration(depth, arguments.batch, mode) for depth in arguments.depths for mode in arguments.modes]
    points += [Configuration(arguments.depth, batch, mode) for batch in arguments.batches for mode in arguments.modes]
    points = list(dict.fromkeys(points))
    runs: dict[Configuration, list[dict[str, Any]]] = {point: [] for point in points}
    for mode in arguments.modes:  # not measured: what compiles kernels needs more memory
        Configuration(min(arguments.depths or (arguments.depth,)), 2, mode).run(arguments)
    for number in range(arguments.rounds):
        for point in points:
            if any("failed" in entry for entry in runs[point]):
                continue
            entry = point.run(arguments)
            runs[point].append(entry)
            told = entry.get("failed") or (
                f"{statistics.median(entry['seconds']):9.3f} s a step, peak {entry['peak_bytes'] / 2**30:6.2f} GiB"
            )
            print(
                f"round {number + 1}: {arguments.family}{point.depth:<5} batch {point.batch:<4} {point.mode:<11}{told}",
                flush=True,
            )

    rows = [row(point, entries) for point, entries in runs.items()]
    entries = {
        "what": "seconds and peak memory (of the process) of a training step: forward, backward, SGD; float32",
        "settings": {k: v for k, v in asdict(arguments).items() if k not in ("out", "quick")} | {"threads": threads},
        **record.surroundings(LIBRARIES),
        "rows": rows,
        "fits": fits(rows, arguments),
        "price_of_recomputation": price(runs),
    }
    report(entries)
    record.write(arguments.out / "scaling.json", entries)
    from scaling_figure import draw

    print(f"drawn: {draw(entries, arguments.out / 'scaling.png')}")


def row(point: Configuration, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One configuration over all rounds."""
    failed = [entry["failed"] for entry in entries if "failed" in entry]
    if failed:
        return asdict(point) | {"failed": failed[0]}
    seconds = [value for entry in entries for value in entry["seconds"]]
    return asdict(point) | {
        "median": statistics.median(seconds),
        "processor_median": statistics.median(value for entry in entries for value in entry["processor_seconds"]),
        "images_per_second": point.batch / statistics.median(seconds),
        "peak_bytes": max(entry["peak_bytes"] for entry in entries),
        "idle_bytes": max(entry["idle_bytes"] for entry in entries),
        "seconds": [entry["seconds"] for entry in entries],
    }


def line(depths: Sequence[float], values: Sequence[float]) -> dict[str, Any]:
    """The straight line through values over depth that is best by relative residuals, and those."""
    import numpy as np

    d, t = np.asarray(depths, float), np.asarray(values, float)
    columns = np.stack([np.ones_like(d), d], axis=1) / t[:, None]
    (a, b), *_ = np.linalg.lstsq(columns, np.ones_like(d), rcond=None)
    residuals = {str(depth): float((a + b * depth) / value - 1) for depth, value in zip(depths, values, strict=True)}
    return {"at_depth_0": float(a), "a_layer": float(b), "relative_residuals": residuals}


def fits(rows: Sequence[dict[str, Any]], arguments: Arguments) -> dict[str, Any]:
    """Lines of time and memory over depth, for each mode that has three depths or more."""
    found = {}
    for mode in arguments.modes:
        own = [r for r in rows if r["mode"] == mode and r["depth"] in arguments.depths and "failed" not in r]
        own = sorted((r for r in own if r["batch"] == arguments.batch), key=lambda r: r["depth"])
        if len(own) >= 3:
            depths = [r["depth"] for r in own]
            found[mode] = {
                "seconds": line(depths, [r["median"] for r in own]),
                "processor_seconds": line(depths, [r["processor_median"] for r in own]),
                "peak_bytes": line(depths, [r["peak_bytes"] for r in own]),
            }
    return found


def price(runs: dict[Configuration, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Time with recomputation by time without, where both were measured."""
    found = []
    for point, kept in runs.items():
        other = runs.get(replace(point, mode="recomputed"), [])
        if point.mode == "kept" and other and not any("failed" in entry for entry in [*kept, *other]):
            ratios = [
                statistics.median(b["seconds"]) / statistics.median(a["seconds"])
                for a, b in zip(kept, other, strict=True)
            ]
            time = statistics.median(ratios)
            memory = max(b["peak_bytes"] for b in other) / max(a["peak_bytes"] for a in kept)
            found.append({"depth": point.depth, "batch": point.batch, "time": time, "memory": memory})
    return found


def report(entries: dict[str, Any]) -> None:
    """Print what was found."""
    for mode, lines in entries["fits"].items():
        for what, (unit, scale) in UNITS.items():
            fit = lines[what]
            worst = max(map(abs, fit["relative_residuals"].values()))
            print(
                f"{mode}, {what}: {scale * fit['a_layer']:.3f} {unit} a layer, "
                f"{scale * fit['at_depth_0']:.1f} {unit} beside; largest residual {worst:.1%}"
            )
    for entry in entries["price_of_recomputation"]:
        print(
            f"depth {entry['depth']}, batch {entry['batch']}: recomputation takes {entry['time']:.2f} times as long "
            f"and {entry['memory']:.2f} of the memory"
        )


if __name__ == "__main__":
    record.run(main, Arguments)
