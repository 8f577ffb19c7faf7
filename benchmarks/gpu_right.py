"""Sections of `gpu_suite.py` about what is there and whether it is right: versions, conformance, compute-sanitizer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from multiprocessing import TimeoutError as TooLong
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_suite import Suite

WORKERS = 8  # processes that compile at once; what they compile is kept on disk for the others
SMI = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,power.limit", "--format=csv,noheader"]
# Every kind of memory that our kernels use, in few launches.
SANITIZED = ("conv2d", "conv2d_input", "conv2d_weight", "conv2d_stats", "bn_relu", "bn_relu_gradient", "sgd")
TINY = ("relu", "global_avg_pool")


def versions(suite: Suite, entries: dict[str, Any]) -> None:
    """The GPU, driver, wheels, and what the driver says of clocks."""
    from tinyres.cli.doctor_gpu import gpu

    entries["doctor"] = [f"{name:<22}{fact}".rstrip() for name, fact in gpu()]
    for line in entries["doctor"]:
        suite.say(f"  {line}")
    if shutil.which(SMI[0]) and suite.clock:
        entries["nvidia_smi"] = subprocess.run(SMI, capture_output=True, text=True, check=False).stdout.strip()
        suite.say(f"  {entries['nvidia_smi']}")


def verdict(op: str, name: str, dtype: str) -> dict[str, Any]:
    """Hold one kernel against the float64 oracle on every sample of its op's contract."""
    from tinyres.conformance import check_kernel
    from tinyres.errors import TinyresError

    row: dict[str, Any] = {"op": op, "kernel": name, "dtype": dtype, "right": True}
    try:
        found = check_kernel(op, name, dtype)
    except TinyresError as error:
        return row | {"right": False, "reason": str(error)}
    except Exception as error:  # a fault of CUDA ends this process' use of the GPU, not the table
        return row | {"right": False, "reason": f"{type(error).__name__}: {error}"}
    return row | {"error": found.error, "allowed": found.allowed, "cases": found.cases}


def _verdict(task: tuple[str, str, str]) -> dict[str, Any]:
    return verdict(*task)


def tasks(suite: Suite) -> list[tuple[str, str, str]]:
    """Op, kernel and dtype of each kernel of the GPU."""
    from tinyres.errors import KernelError
    from tinyres.kernels import registry

    found = []
    for op in TINY if suite.tiny else registry.ops():
        for name in registry.names(op):
            try:
                kernel = registry.find(op, name)
            except KernelError:
                continue
            if kernel.device == "cuda":
                found += [(op, name, dtype) for dtype in kernel.dtypes if not suite.tiny or dtype == "float32"]
    return found


def conformance(suite: Suite, entries: dict[str, Any]) -> None:
    """Every kernel of the GPU on the samples of its contract, several processes compiling at once."""
    rows = entries["rows"] = []
    wanted = tasks(suite)
    if suite.tiny:
        for task in wanted:
            suite.need_time()
            _took(suite, rows, verdict(*task))
        return
    pool = get_context("spawn").Pool(min(WORKERS, os.cpu_count() or 1))
    try:
        answers = pool.imap_unordered(_verdict, wanted)
        for _ in wanted:
            _took(suite, rows, answers.next(timeout=max(1.0, suite.until - time.monotonic())))
    except TooLong:
        suite.need_time()
    finally:
        pool.terminate()  # nobody may be on the GPU when the next section is timed
        pool.join()
        known = {(row["op"], row["kernel"], row["dtype"]) for row in rows}
        entries["left_out"] = [" ".join(task) for task in wanted if task not in known]
        entries["wrong"] = sum(not row["right"] for row in rows)
        suite.say(f"  {len(rows)} checked, {entries['wrong']} wrong, {len(entries['left_out'])} left out")


def _took(suite: Suite, rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
    rows.append(row)
    said = f"error {row['error']:.1e} of {row['allowed']:.1e}" if row["right"] else f"WRONG {row['reason']}"
    suite.say(f"  {row['op']:<24}{row['kernel']:<20}{row['dtype']:<9}{said}")


def sanitizer(suite: Suite, entries: dict[str, Any]) -> None:
    """NVIDIA's checker of memory and of races over a few kernels, where it is installed."""
    tool = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if tool is None or not suite.clock:
        entries["left_out"] = "compute-sanitizer is not on PATH" if suite.clock else "the GPU is emulated"
        suite.say(f"  {entries['left_out']}")
        return
    for check in ("memcheck", "racecheck"):
        suite.need_time(10)
        command = [tool, "--tool", check, "--error-exitcode", "9", sys.executable, __file__, *SANITIZED]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=max(1.0, suite.until - time.monotonic())
            )
        except subprocess.TimeoutExpired:
            entries[check] = "out of time"
            continue
        said = [line for line in done.stdout.splitlines() if "ERROR SUMMARY" in line or "Error" in line][-8:]
        entries[check] = {"code": done.returncode, "said": said}
        suite.say(f"  {check}: exit code {done.returncode}, {'; '.join(said)}")


if __name__ == "__main__":  # under compute-sanitizer: some ops, on their first samples
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tinyres.kernels.backends import usual

    for each in sys.argv[1:]:
        for kernel in usual(each, "cuda")[:1]:
            print(verdict(each, kernel, "float32"), flush=True)
