"""`tinyres selftest`: every kernel against the oracle, every gradient against finite differences, on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tinyres.cli.kernels import why
from tinyres.conformance import DIFFERENTIABLE, Verdict, check_gradient, check_kernel
from tinyres.errors import TinyresError
from tinyres.kernels import cuda, registry


@dataclass
class Arguments:
    """Check every kernel and every gradient, and print the worst error of each.

    Kernels: largest error against the float64 oracle on the samples of the op's contract, relative to the scale of the
    result, in float32 and float64. Gradients: largest relative difference from finite differences in float64, first and
    second order (first for fused ops).
    """

    ops: list[str] = field(default_factory=list)
    """Only these ops."""
    device: Literal["all", "cpu", "cuda"] = "all"
    """Only kernels of this device; TINYRES_GPU=emulated makes the CPU a GPU, slowly."""


def run(arguments: Arguments) -> int:
    """Print one row an op and kernel; the exit code is 1 if anything failed."""
    if arguments.device == "cuda":
        cuda.module()  # or nothing would be checked, and all be right
    failures: list[str] = []
    absent: Counter[str] = Counter()
    print(f"{'op':<32}{'kernel':<19}{'float32':>10}{'float64':>10}{'gradient':>10}")
    ops = arguments.ops or list(registry.ops())
    rows = [(op, name) for op in ops for name in registry.names(op) or [registry.find(op, "naive").name]]
    checked = 0
    for op, name in rows:
        try:
            found = registry.find(op, name)
        except TinyresError as reason:
            if name not in registry.names(op):
                raise
            absent[why(str(reason)).rstrip(".")] += 1
            continue
        if arguments.device not in ("all", found.device):
            continue
        checked += 1
        cells = [
            _attempt(failures, check_kernel, op, name, dtype) if dtype in found.dtypes else "-"
            for dtype in ("float32", "float64")
        ]
        whole_backend = name in registry.own_names() and op in DIFFERENTIABLE and "float64" in found.dtypes
        cells.append(_attempt(failures, check_gradient, op, name) if whole_backend else "-")
        print(f"{op:<32}{name:<19}{''.join(f'{cell:>10}' for cell in cells)}")
    for sentence in failures:
        print(f"FAILED {sentence}")
    for why_not, count in absent.items():
        print(f"{count} kernels are not here: {why_not}.")
    print(f"{checked} kernels of {len(ops)} ops: {'all right' if not failures else f'{len(failures)} failures'}.")
    return 1 if failures else 0


def _attempt(failures: list[str], check: Callable[..., Verdict | float], *of: str) -> str:
    """The error that a check found, as a cell of the table."""
    try:
        found = check(*of)
    except TinyresError as error:
        failures.append(str(error))
        return "WRONG"
    return f"{found.error if isinstance(found, Verdict) else found:.1e}"
