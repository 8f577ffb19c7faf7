"""`tinyres kernels`: the table op × kernel, read from the registry."""

from __future__ import annotations

from dataclasses import dataclass

from tinyres.kernels import registry


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
            found = registry.find(arguments.op, name)
            print(f"{name:<16} {found.device:<6} {' '.join(found.dtypes):<18} precision {found.precision}")
        return 0
    rows = registry.table()
    columns = list(dict.fromkeys(row["kernel"] for row in rows))
    width = max(len(op) for op in registry.ops()) + 2
    print(f"{'op':<{width}}{''.join(f'{name:<12}' for name in columns)}")
    for op in registry.ops():
        entries = {row["kernel"]: _mark(row) for row in rows if row["op"] == op}
        marks = "".join(f"{entries.get(name, '-'):<12}" for name in columns)
        print(f"{op:<{width}}{marks}".rstrip())
    print("\ndefault: what runs unless chosen otherwise; yes: can be chosen; no: cannot run here; -: no such kernel")
    for reason in dict.fromkeys(row["missing"] for row in rows if row["missing"]):
        print(f"no: {reason}")
    return 0


def _mark(row: dict[str, object]) -> str:
    return "no" if row["missing"] else "default" if row["default"] else "yes"
