"""Wrong solutions of the labs that were written before the tables of known mistakes were read: how many are named?

Each file of tests/lab/bank is one solution in a way of its own (einsum, loops, sliding windows, index arrays, ...),
with one slip. Its head says which; `right` and `wrong` are pieces of code, and with `wrong` exchanged for `right` the
solution is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BANK = Path(__file__).parents[1] / "tests" / "lab" / "bank"


@dataclass(frozen=True)
class Solution:
    """One file of the bank."""

    name: str  # "conv_input__overlaps_lost"
    task: str
    way: str
    slip: str
    text: str  # wrong
    mended: str  # right


def bank(folder: Path = BANK) -> list[Solution]:
    """All solutions, by name."""
    return [_read(path) for path in sorted(folder.glob("*__*.py"))]


def _read(path: Path) -> Solution:
    """Read the head of a file, `# key: value` down to the first empty line, and mend its slip."""
    head, body = path.read_text(encoding="utf-8").split("\n\n", 1)
    said: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, value = line.removeprefix("# ").split(": ", 1)
        said.setdefault(key, []).append(value)
    mended = body
    for right, wrong in zip(said["right"], said["wrong"], strict=True):
        if mended.count(wrong) != 1:
            raise ValueError(f"{path.name}: {wrong!r} stands there {mended.count(wrong)} times, not once.")
        mended = mended.replace(wrong, right)
    return Solution(path.stem, said["task"][0], said["way"][0], said["slip"][0], body, mended)
