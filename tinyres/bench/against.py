"""Two files compared: what became slower or faster beyond the noise, and what only one of them has.

The rule. A row's spread is sqrt(p90 / p10), the factor by which its times lie about their median. A row has changed if
the ratio of the two medians, or its inverse, is above the product of both spreads, and above `SMALLEST`. Rounds of one
run share the mood of the machine, which two runs do not, so the median of all ratios is told too: if everything moved
alike, the machine did.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tinyres.bench.record import Record
from tinyres.bench.results import Row

SMALLEST = 1.05
LISTED = 12  # rows that only one file has; more are counted


@dataclass(frozen=True)
class Change:
    """One measurement in two files."""

    old: Row
    new: Row

    @property
    def ratio(self) -> float:
        """New time by old time."""
        return self.new.median / self.old.median

    @property
    def noise(self) -> float:
        """The factor up to which a ratio, or its inverse, may be chance."""
        spreads = [math.sqrt(high / low) for low, high in (self.old.spread, self.new.spread)]
        return max(SMALLEST, math.prod(spreads))

    @property
    def verdict(self) -> str:
        """`slower`, `faster` or `same`."""
        if self.ratio > self.noise:
            return "slower"
        return "faster" if 1 / self.ratio > self.noise else "same"


def changes(old: Record, new: Record) -> list[Change]:
    """The measurements that both files have, in the order of the new one."""
    before = {row.key: row for row in old.rows}
    return [Change(before[row.key], row) for row in new.rows if row.key in before]


def warnings(old: Record, new: Record) -> Iterator[str]:
    """Why the times of two files may not be comparable at all."""
    if old.machine != new.machine:
        names = [" with ".join(f"{part}" for part in each.machine) for each in (old, new)]
        yield f"another machine: {names[0]} cores, then {names[1]} cores; times of different machines say nothing."
    for name, value in old.entries["versions"].items():
        if (now := new.entries["versions"].get(name)) != value:
            yield f"{name} was {value} and is {now or 'not installed'}."
    for record in (old, new):
        if not record.entries.get("complete", True):
            yield f"{record.path} was interrupted and is not complete."


def report(old: Record, new: Record) -> Iterator[str]:
    """What changed, line by line."""
    yield f"old: {old.path}, {old.entries['date']}"
    yield f"new: {new.path}, {new.entries['date']}"
    for sentence in warnings(old, new):
        yield f"WARNING {sentence}"
    both = changes(old, new)
    if not both:
        yield "the two files have no measurement in common (op, layer, batch, type and kernel)."
    changed = sorted((c for c in both if c.verdict != "same"), key=lambda c: c.ratio, reverse=True)
    if changed:
        yield f"\n{'':<60}{'old ms':>10}{'new ms':>10}{'new/old':>9}{'noise':>8}"
    for change in changed:
        name = f"{change.verdict:<8}{_name(change.new)}"
        times = f"{1000 * change.old.median:>10.3f}{1000 * change.new.median:>10.3f}"
        yield f"{name:<60}{times}{change.ratio:>9.2f}{change.noise:>8.2f}"
    for record, other, said in ((old, new, "only in the old file"), (new, old, "only in the new file")):
        known = {row.key for row in other.rows}
        alone = [row for row in record.rows if row.key not in known]
        for row in alone[:LISTED]:
            yield f"{said}: {_name(row)}"
        if alone[LISTED:]:
            yield f"{said}: {len(alone) - LISTED} more"
    if both:
        counts = [sum(c.verdict == verdict for c in both) for verdict in ("slower", "faster", "same")]
        middle = statistics.median(c.ratio for c in both)
        yield f"\n{counts[0]} slower, {counts[1]} faster, {counts[2]} within the noise; median ratio {middle:.2f}"
        yield f"(changed: the ratio or its inverse is above both spreads sqrt(p90/p10) together, and above {SMALLEST})"


def _name(row: Row) -> str:
    return f"{row.op} {row.layer}, batch {row.batch}, {row.kernel}" + (", float64" if row.dtype == "float64" else "")
