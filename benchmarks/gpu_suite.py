"""All that a GPU is needed for, in one script of at most ten minutes: right, how fast, and the same twice.

    python benchmarks/gpu_suite.py                       # on a machine with a GPU; writes benchmarks/results/gpu.json
    python benchmarks/gpu_suite.py --only roof steps     # some sections
    TINYRES_GPU=emulated python benchmarks/gpu_suite.py --tiny --out FILE   # without one: all of it, small, no times

Needs Python 3.11, NumPy, CuPy, numba-cuda, matplotlib, safetensors and tqdm, and tinyres' own tree, which need not be
installed; with PyTorch (CUDA) and cuDNN the peers are timed too. A section has its seconds, and a process of its own: a
kernel that hangs, or an error after which CUDA is of no more use to a process, costs its section alone. What a section
could not do is listed, one that fails says why, and the rest goes on. The file is written after each section, whole or
not at all; sections that were not asked for keep what an earlier run wrote. Not yet run on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # tinyres itself, where it is not installed

SCHEMA = "tinyres-gpu-1"
OUT = Path(__file__).parent / "results" / "gpu.json"
TOTAL = 570.0  # seconds
GRACE = 20.0  # for a process to begin and to end
KEPT = 5.0  # seconds after which what a section has so far is written again


class OutOfTime(Exception):
    """A section has used up its seconds."""


@dataclass
class Suite:
    """What a section is told: how small it shall be, whether there is a clock, and until when it may go on."""

    tiny: bool
    clock: bool
    until: float = float("inf")
    keep: Callable[[], None] = lambda: None
    kept: float = 0.0

    def say(self, text: str) -> None:
        """Print at once, and now and then write the record: a script that is ended has told what it knew."""
        print(text, flush=True)
        if time.monotonic() >= self.kept + KEPT:
            self.keep()
            self.kept = time.monotonic()

    def need_time(self, seconds: float = 0.0) -> None:
        """Leave the section if less than so many seconds are left."""
        if time.monotonic() + seconds > self.until:
            raise OutOfTime

    def listen(self, text: str) -> None:
        """`say`, and leave the section when its time is over: for what tells what it does while it does it."""
        self.say(text)
        self.need_time()


Section = Callable[[Suite, dict[str, Any]], None]  # fills its entries as it goes, so that a part of them is kept


def sections() -> dict[str, tuple[float, Section]]:
    """Name -> seconds, and the function; in the order of what is worth knowing first."""
    import gpu_right
    import gpu_times
    import gpu_training

    return {
        "versions": (10, gpu_right.versions),
        "roof": (25, gpu_times.roof),
        "conformance": (110, gpu_right.conformance),
        "steps": (140, gpu_times.steps),
        "repeat": (50, gpu_training.repeat),
        "gradients": (40, gpu_training.gradients),
        "kernels": (130, gpu_times.kernels),
        "latency": (10, gpu_times.latency),
        "sanitizer": (30, gpu_right.sanitizer),
        "curves": (120, gpu_training.curves),
    }


def run(suite: Suite, chosen: list[str], total: float, out: Path) -> dict[str, Any]:
    """Run sections one after the other and write the record after each."""
    record = started(out)
    end = time.monotonic() + total
    every = sections()
    suite.keep = lambda: write(out, record)
    for name in chosen:
        seconds, section = every[name]
        begin = time.monotonic()
        suite.until = min(begin + seconds, end)
        suite.say(f"\n=== {name}  [{total - (end - begin):.0f} s; at most {suite.until - begin:.0f} s]")
        entries: dict[str, Any] = {"status": "running"}
        record["sections"][name] = entries
        try:
            suite.need_time(1)
            section(suite, entries)
            entries["status"] = "done"
        except OutOfTime:
            entries["status"] = "out of time"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, the sections after it are worth having
            entries |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            entries["traceback"] = traceback.format_exc().splitlines()[-12:]
            suite.say("\n".join(entries["traceback"]))
        entries["seconds"] = round(time.monotonic() - begin, 1)
        suite.say(f"{name}: {entries['status']}, {entries['seconds']} s")
        write(out, record)
    return record


def isolated(chosen: list[str], total: float, out: Path, options: list[str]) -> None:
    """Run each section in a process of its own, which is ended if it hangs."""
    end = time.monotonic() + total
    for name in chosen:
        seconds = max(1.0, min(sections()[name][0], end - time.monotonic()))
        command = [sys.executable, __file__, "--inside", "--only", name, "--out", str(out), "--seconds", str(seconds)]
        try:
            code = subprocess.run([*command, *options], timeout=seconds + GRACE).returncode
            why = f"its process ended with exit code {code}"
        except subprocess.TimeoutExpired:
            code, why = -1, f"it hung: ended after {seconds + GRACE:.0f} s"
        record = started(out)
        found = record["sections"].get(name, {"status": "running"})
        if code not in (0, 1) or found["status"] == "running":  # it did not come to its end
            found = found if found["status"] == "running" else {}  # what it had so far, not what an earlier run had
            record["sections"][name] = found | {"status": "failed", "error": why, "seconds": seconds}
            write(out, record)
            print(f"{name}: {why}", flush=True)


def started(out: Path) -> dict[str, Any]:
    """The head of a record, with the sections that an earlier run has left there."""
    import record

    libraries = ("numpy", "numba", "cupy-cuda13x", "numba-cuda", "cuda-core", "nvidia-cuda-nvrtc", "torch")
    head = {"schema": SCHEMA, **record.surroundings(known(libraries)), "gpu": gpu(), "sections": {}}
    try:
        before = json.loads(out.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return head
    same = before.get("schema") == SCHEMA and before.get("gpu", {}).get("name") == head["gpu"]["name"]
    head["sections"] = before["sections"] if same else {}
    return head


def known(libraries: tuple[str, ...]) -> list[str]:
    """Those of the libraries that are installed."""
    from tinyres.kernels.cuda import driver

    return [name for name in libraries if driver.installed(name)]


def gpu() -> dict[str, Any]:
    """The GPU and its driver."""
    from dataclasses import asdict

    from tinyres.kernels import cuda
    from tinyres.kernels.cuda import driver

    version = driver.cuda_of_driver()
    return {
        **asdict(cuda.properties()),
        "emulated": cuda.emulated(),
        "driver_cuda": ".".join(map(str, version)) if version else None,
    }


def write(out: Path, record: dict[str, Any]) -> None:
    """Write the record, whole or not at all."""
    record |= {"written": datetime.now(UTC).isoformat(timespec="seconds")}
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_suffix(".part")
    unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, out)


def main() -> int:
    """Read the command line, run, and say in a line what came out: 0 if every section was done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="SECTION")
    parser.add_argument("--out", type=Path, default=None, help=f"default {OUT}; none with --tiny")
    parser.add_argument("--seconds", type=float, default=TOTAL, help="of the whole")
    parser.add_argument("--inside", action="store_true", help="in this process, whatever happens to it")
    parser.add_argument("--tiny", action="store_true", help="small, to see that the script works")
    given = parser.parse_args()

    from tinyres.kernels import cuda

    if reason := cuda.missing():
        print(f"gpu_suite: there is no GPU to use: {reason}.", file=sys.stderr)
        return 1
    every = list(sections())
    if unknown := [name for name in given.only if name not in every]:
        print(f"gpu_suite: there is no section {unknown[0]!r}; known: {', '.join(every)}.", file=sys.stderr)
        return 2
    if given.out is None and (given.tiny or cuda.emulated()):
        print("gpu_suite: name a file with --out: results/gpu.json is for a real run on a GPU.", file=sys.stderr)
        return 2
    suite, out = Suite(given.tiny or cuda.emulated(), not cuda.emulated()), given.out or OUT
    chosen = given.only or every
    if given.inside or suite.tiny:
        record = run(suite, chosen, given.seconds, out)
    else:
        isolated(chosen, given.seconds, out, [])
        record = json.loads(out.read_text(encoding="utf-8"))
    states = {name: record["sections"][name]["status"] for name in chosen}
    if not given.inside:
        print(f"\n{out}: " + ", ".join(f"{name} {state}" for name, state in states.items()))
    return 0 if set(states.values()) == {"done"} else 1


if __name__ == "__main__":
    sys.exit(main())
