"""`tinyres selftest`: every kernel against the oracle, every gradient against finite differences, on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tinyres.conformance import DIFFERENTIABLE, Verdict, check_gradient, check_kernel
from tinyres.errors import TinyresError
from tinyres.kernels import registry


@dataclass
class Arguments:
    """Check every kernel and every gradient, and print the worst error of each.

    Kernels: largest error against the float64 oracle on the samples of the op's contract, relative to the scale of the
    result, in float32 and float64. Gradients: largest relative difference from finite differences in float64, first and
    second order (first for fused ops).
    """

    ops: list[str] = field(default_factory=list)
    """Only these ops."""


def run(arguments: Arguments) -> int:
    """Print one row an op and kernel; the exit code is 1 if anything failed."""
    failures: list[str] = []
    print(f"{'op':<32}{'kernel':<16}{'float32':>10}{'float64':>10}{'gradient':>10}")
    ops = arguments.ops or list(registry.ops())
    rows = [(op, name) for op in ops for name in registry.names(op) or [registry.find(op, "naive").name]]
    for op, name in rows:
        try:
            found = registry.find(op, name)
        except TinyresError as reason:
            print(f"{op:<32}{name:<16}not here: {reason}")
            continue
        cells = [
            _attempt(failures, check_kernel, op, name, dtype) if dtype in found.dtypes else "-"
            for dtype in ("float32", "float64")
        ]
        whole_backend = name in registry.own_names() and op in DIFFERENTIABLE
        cells.append(_attempt(failures, check_gradient, op, name) if whole_backend else "-")
        print(f"{op:<32}{name:<16}{''.join(f'{cell:>10}' for cell in cells)}")
    for sentence in failures:
        print(f"FAILED {sentence}")
    print(f"{len(rows)} kernels of {len(ops)} ops: {'all right' if not failures else f'{len(failures)} failures'}.")
    return 1 if failures else 0


def _attempt(failures: list[str], check: Callable[..., Verdict | float], *of: str) -> str:
    """The error that a check found, as a cell of the table."""
    try:
        found = check(*of)
    except TinyresError as error:
        failures.append(str(error))
        return "WRONG"
    return f"{found.error if isinstance(found, Verdict) else found:.1e}"
