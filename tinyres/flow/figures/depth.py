"""Norms and other quantities against depth: a panel for each run with the training step as colour, then all overlaid.

All panels have common axes. Where several runs are drawn, the last panel holds every run at its first step (thin) and
at its last (bold). With seeds put together the line is their median and the pale area their range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import ConfigError
from tinyres.flow.figures.axes import band, line
from tinyres.flow.figures.quantities import Quantity, profile
from tinyres.flow.figures.runs import Run, common_steps, note, runs_of, some
from tinyres.flow.figures.style import SCREEN, Drawing, Sheet, Style, look
from tinyres.flow.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES, BANDS = 40, 5  # steps drawn at most, without and with bands
DEPTH = "depth (weighted layers up to here)"


def against_depth(
    records: Sequence[Record],
    quantity: Quantity,
    *,
    style: Style = SCREEN,
    bands: bool = False,
    kinds: Sequence[str] = (),
) -> Drawing:
    """Draw a quantity of one or more records against depth.

    Parameters
    ----------
    records : sequence of Record
    quantity : Quantity
        One of `QUANTITIES`.
    style : Style
    bands : bool
        Put seeds of one model together.
    kinds : sequence of str
        Only layers of these kinds; by default the last output, or the first weight, of each depth.

    Returns
    -------
    Drawing
        Table: run, step, depth, layer, value, low, high (the range over seeds).
    """
    runs = runs_of(records, bands)
    profiles = [_Profile(run, quantity, kinds) for run in runs]
    table: dict[str, list[Any]] = {name: [] for name in ("run", "step", "depth", "layer", "value", "low", "high")}
    definition = quantity.definition + (" Line: median over seeds; area: their range." if bands else "")
    trained = any(len(p.steps) > 1 for p in profiles)
    title = f"{quantity.title} against depth" + (", through training" if trained else "")
    panels = len(runs) + (len(runs) > 1) if trained else 1
    with Sheet(style, panels, title=title, note=[definition, note(runs)]) as sheet:
        if trained:
            colour = sheet.steps([step for p in profiles for step in p.steps])
            for axes, p in zip(sheet.panels, profiles, strict=False):
                _through_training(sheet, axes, p, colour)
        if len(runs) > 1 or not trained:
            _overlay(sheet, sheet.panels[-1], profiles)
        for p in profiles:
            for t in p.drawn():
                p.write(table, t)
        sheet.labels(DEPTH, quantity.label)
        for axes in sheet.panels:
            axes.set_xlim(left=min(0, *(p.depth.min() for p in profiles)))
            if not quantity.log:
                axes.set_ylim(-0.02, 1.02)
                axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    said = [text for p in profiles for text in (p.growth() if quantity.log else p.mean())]
    return Drawing(sheet.figure, table, said)


class _Profile:
    """A quantity of a run along its depth: median and range over its seeds, arrays [T, K]."""

    def __init__(self, run: Run[Record], quantity: Quantity, kinds: Sequence[str]) -> None:
        self.run, self.quantity, self.steps = run, quantity, common_steps(run)
        values = []
        for record in run.records:
            self.depth, self.names, found = profile(record, quantity, kinds)
            values.append(found[np.searchsorted(record.step, self.steps)])
            if values[-1].shape != values[0].shape:
                raise ConfigError(f"the records of {run.label} have different layers; draw them without --bands.")
        together = np.stack(values)  # [seeds, T, K]
        with np.errstate(invalid="ignore"):
            self.middle: NDArray[Any] = np.median(together, axis=0)
            self.low, self.high = together.min(axis=0), together.max(axis=0)

    def drawn(self) -> NDArray[np.int64]:
        """Numbers of the steps that are drawn."""
        return some(len(self.steps), BANDS if len(self.run.records) > 1 else LINES)

    def write(self, table: dict[str, list[Any]], t: int) -> None:
        """Append the numbers of step number t."""
        for k, name in enumerate(self.names):
            row = (
                self.run.label,
                self.steps[t],
                self.depth[k],
                name,
                self.middle[t, k],
                self.low[t, k],
                self.high[t, k],
            )
            for column, value in zip(table.values(), row, strict=True):
                column.append(value if isinstance(value, str) else value.item())

    def growth(self) -> list[str]:
        """The factor from a layer to the one before it, by a straight line through the logarithms."""
        said = []
        for t in dict.fromkeys((0, len(self.steps) - 1)):
            y = np.abs(self.middle[t])
            fine = np.isfinite(y) & (y > 0)
            found = []
            if fine.sum() > 2:
                slope = np.polyfit(self.depth[fine], np.log(y[fine]), 1)[0]
                found.append(f"{self.quantity.label} grows x {np.exp(-slope):.3f} a layer toward the input")
            if lost := len(y) - int(fine.sum()):
                found.append(f"{lost} of {len(y)} are 0 or not finite, first {self._first(~fine)}")
            said.append(f"{self.run.label}, step {self.steps[t]}: {'; '.join(found) or 'too few layers for a growth'}")
        return said

    def mean(self) -> list[str]:
        """The mean over layers at the last step, and the largest."""
        last = self.middle[-1]
        text = f"{self.run.label}, step {self.steps[-1]}: {self.quantity.label}"
        if np.isnan(last).all():
            return [f"{text} was not measured"]
        top = int(np.nanargmax(last))
        where = f"at depth {self.depth[top]} ({self.names[top]})"
        return [f"{text} {np.nanmean(last):.0%} on average, most {last[top]:.0%} {where}"]

    def _first(self, where: NDArray[np.bool_]) -> str:
        return self.names[int(np.argmax(where))]


def _through_training(sheet: Sheet, axes: Axes, p: _Profile, colour: Any) -> None:
    """One run, a line a step."""
    axes.set_title(p.run.label)
    for t in p.drawn():
        ink = colour(p.steps[t])
        line(sheet, axes, p.depth, p.middle[t], log=p.quantity.log, color=ink, lw=0.8 * sheet.style.line)
        if len(p.run.records) > 1:
            band(axes, p.depth, p.low[t], p.high[t], ink)


def _overlay(sheet: Sheet, axes: Axes, profiles: Sequence[_Profile]) -> None:
    """All runs, their first and their last step."""
    last = dict.fromkeys(int(p.steps[-1]) for p in profiles)
    trained = any(len(p.steps) > 1 for p in profiles)
    alone = f"step {' and '.join(map(str, last))}"
    axes.set_title("overlaid: first step (thin), last step (bold)" if trained else alone)
    for p in profiles:
        drawn: dict[str, Any] = {**look(p.run.place, p.run.family), "log": p.quantity.log}
        if len(p.steps) > 1:
            line(sheet, axes, p.depth, p.middle[0], lw=0.6 * sheet.style.line, **drawn)
        line(sheet, axes, p.depth, p.middle[-1], lw=1.3 * sheet.style.line, label=p.run.label, **drawn)
        if len(p.run.records) > 1:
            band(axes, p.depth, p.low[-1], p.high[-1], drawn["color"])
