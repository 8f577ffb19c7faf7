"""`tinyres kernels`: the table op × kernel, read from the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinyres.errors import KernelError
from tinyres.kernels import registry
from tinyres.kernels.backends import backend_of, usual


@dataclass
class Arguments:
    """List every op with its kernels: the default, the others, and why one cannot run here.

    Choose with TINYRES_KERNELS=op=kernel,... or `tinyres train --kernels op=kernel,...`; `conv` stands for the
    convolution and its two gradients, `all` for every op that a backend has.
    """

    op: str = ""
    """Only this op, with the types and the precision of its kernels."""


def run(arguments: Arguments) -> int:
    """Print the table."""
    if arguments.op:
        for name in registry.names(arguments.op) or [registry.find(arguments.op, "naive").name]:
            try:
                found = registry.find(arguments.op, name)
            except KernelError as error:
                if name not in registry.names(arguments.op):  # there is no such op
                    raise
                print(f"{name:<18} no: {why(str(error))}")
                continue
            print(f"{name:<18} {found.device:<6} {' '.join(found.dtypes):<18} precision {found.precision}")
        return 0
    rows = registry.table()
    for device, said in (("cpu", "op"), ("cuda", "\non a GPU")):
        _print(said, device, [row for row in rows if device_of(row) == device])
    print("\ndefault: what runs unless chosen otherwise; yes: can be chosen; no: cannot run here; -: no such kernel")
    for reason in dict.fromkeys(why(row["missing"]) for row in rows if row["missing"]):
        print(f"no: {reason}")
    return 0


def device_of(row: dict[str, Any]) -> str:
    """Where a kernel of `registry.table()` runs, or would."""
    name = backend_of(row["kernel"])
    return str(registry.backend(name).DEVICE if name in registry.BACKENDS else row["device"] or "cpu")


def why(missing: str) -> str:
    """The reason in what the registry says of a kernel that cannot run here: many kernels share one."""
    return missing.partition(" is not available: ")[2] or missing


def _print(head: str, device: str, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(row["kernel"] for row in rows))
    width = max(len(op) for op in registry.ops()) + 2
    print(f"{head:<{width + head.count(chr(10))}}{''.join(f'{name:<{_width(name)}}' for name in columns)}".rstrip())
    for op in registry.ops():
        first = next(iter(usual(op, device)), None)
        entries = {row["kernel"]: _mark(row, first) for row in rows if row["op"] == op}
        marks = "".join(f"{entries.get(name, '-'):<{_width(name)}}" for name in columns)
        if entries:
            print(f"{op:<{width}}{marks}".rstrip())


def _width(name: str) -> int:
    return max(len(name), len("default")) + 2


def _mark(row: dict[str, Any], first: str | None) -> str:
    return "no" if row["missing"] else "default" if row["kernel"] == first else "yes"
