"""What was measured: one `Row` a kernel and shape, with all that is derived from its times, and the printed table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

STEP = "step"  # in the place of an op: a whole training step
HEAD = (
    f"{'':<20}{'ms':>10}{'10 %':>10}{'90 %':>10}{'GFLOP/s':>10}{'GB/s':>8}{'of roof':>9}{'images/s':>10}{'error':>8}"
    "  time by that of"
)


@dataclass(frozen=True)
class Row:
    """Times of one kernel at one shape, or of one backend's training step."""

    op: str
    layer: str
    batch: int
    dtype: str
    kernel: str
    seconds: list[float]  # one a round
    operations: int
    traffic: int  # compulsory bytes; 0 where they are not counted
    attainable: float | None  # GFLOP/s under the roof, as measured between the rounds
    error: float  # relative to the scale of the result
    allowed: float
    checked: str
    reference: str  # the contender that `ratio` is to
    ratio: float  # median over the rounds of this time by the reference's in the same round
    nets: list[str] = field(default_factory=list)
    mode: str = ""  # on a GPU: cold or hot, a step's graph or eager
    eager: bool = False  # launched by Python, one by one: no graph could hold it
    precision: str = "full"  # that the kernel declares

    @property
    def key(self) -> tuple[str, str, int, str, str, str]:
        """What makes two rows of two files the same measurement."""
        return self.op, self.layer, self.batch, self.dtype, self.mode, self.kernel

    @property
    def median(self) -> float:
        """Seconds."""
        return float(np.median(self.seconds))

    @property
    def spread(self) -> tuple[float, float]:
        """10 % and 90 % quantile, seconds."""
        low, high = np.quantile(self.seconds, [0.1, 0.9])
        return float(low), float(high)

    @property
    def gflops(self) -> float:
        """10^9 operations a second, at the median."""
        return self.operations / self.median / 1e9

    @property
    def gbs(self) -> float:
        """10^9 compulsory bytes a second, at the median."""
        return self.traffic / self.median / 1e9

    @property
    def share(self) -> float | None:
        """Of the roof: above 1 where arrays come from a cache instead of memory."""
        return self.gflops / self.attainable if self.attainable else None

    def record(self) -> dict[str, Any]:
        """For the file: the fields, and what follows from them."""
        low, high = self.spread
        derived: dict[str, Any] = {
            "median": self.median,
            "p10": low,
            "p90": high,
            "gflops": self.gflops,
            "gbs": self.gbs,
        }
        derived |= {"images_per_second": self.batch / self.median}
        return asdict(self) | derived | {"share_of_roof": self.share}


@dataclass(frozen=True)
class Refusal:
    """A kernel that was not timed, and why."""

    op: str
    layer: str  # empty where the samples of the op's contract refuse it, whatever the layer
    kernel: str
    reason: str


def heading(rows: list[Row]) -> str:
    """The line above the rows of one op and shape: what it is, and what it costs."""
    row = rows[0]
    title = f"{row.op}  {row.layer}, batch {row.batch}, {row.dtype}" + (f", {row.mode}" if row.mode else "")
    if row.op == STEP:
        return f"{title}: {_amount(row.operations, 'FLOP')} in its convolutions" if row.operations else title
    roof = f", roof {row.attainable:.3g} GFLOP/s" if row.attainable else ""
    return f"{title}: {_amount(row.operations, 'FLOP')}, {_amount(row.traffic, 'B')}{roof}"


def lines(rows: list[Row]) -> Iterator[str]:
    """Rows of one op and shape as text under `HEAD`."""
    for row in rows:
        cells = "".join(_milliseconds(value) for value in (row.median, *row.spread))
        cells += f"{row.gflops:>10.1f}" if row.operations else f"{'':>10}"
        cells += f"{row.gbs:>8.1f}" if row.traffic else f"{'':>8}"
        cells += f"{row.share:>9.0%}" if row.share is not None else f"{'':>9}"
        cells += f"{row.batch / row.median:>10,.0f}{row.error:>8.0e}"
        if row.kernel != row.reference:
            cells += f"{row.ratio:>7.2f} {row.reference}"
        cells += "  (launched by Python)" if row.eager and row.mode != "eager" else ""
        yield f"  {row.kernel:<18}{cells}"


def groups(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of one op and shape together, in the order of their first."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(row.key[:-1], []).append(row)
    return list(found.values())


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The whole table, line by line."""
    yield HEAD
    for group in groups(rows):
        yield heading(group)
        yield from lines(group)


def _milliseconds(seconds: float) -> str:
    value = 1000 * seconds
    return f"{value:>10.4f}" if value < 1 else f"{value:>10.3f}" if value < 100 else f"{value:>10.1f}"


def _amount(value: float, unit: str) -> str:
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.0f} {unit}"
