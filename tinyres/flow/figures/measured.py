"""What the figures of measures share: lines of several nets in one panel, and their tables put together.

Each of them is a function (measured, *, style, bands) -> Drawing: the results of one measure as a sequence of Measured,
the Style (screen or paper), and whether seeds of one model are put together as their median and range. A ConfigError
says that there is nothing to draw, or with `bands` no two seeds of one model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinyres.flow.figures.axes import band, line
from tinyres.flow.figures.runs import Measured, Run
from tinyres.flow.figures.style import Sheet, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pick = Callable[[Any], tuple[ArrayLike, ArrayLike]]


def curves(
    sheet: Sheet,
    axes: Axes,
    runs: Sequence[Run[Measured]],
    pick: Pick,
    *,
    log: bool = True,
    **style: Any,
) -> None:
    """Draw a line for each run; of several seeds the median, with their range as a band.

    Parameters
    ----------
    sheet : Sheet
    axes : Axes
    runs : sequence of Run
    pick : callable
        Takes a result and gives x [K] and y [K]. Seeds whose x differ are drawn one by one.
    log : bool
        Whether the y axis is logarithmic.
    **style
        Of the lines, beside their colour and dashes.
    """
    for run in runs:
        drawn: dict[str, Any] = {**look(run.place, run.family), "log": log, **style}
        found = [tuple(np.asarray(each, float) for each in pick(item.result)) for item in run.records]
        x = found[0][0]
        if all(np.array_equal(each, x) for each, _ in found):
            values = np.stack([y for _, y in found])
            line(sheet, axes, x, np.median(values, axis=0), label=run.label, **drawn)
            if len(found) > 1:
                band(axes, x, values.min(axis=0), values.max(axis=0), drawn["color"])
        else:
            for k, (own, y) in enumerate(found):
                line(sheet, axes, own, y, label=run.label if k == 0 else None, **drawn)


def tables(runs: Sequence[Run[Measured]]) -> dict[str, list[Any]]:
    """The tables of all results below each other, with the run and the seed of each line in front."""
    together: dict[str, list[Any]] = {"run": [], "seed": []}
    for run in runs:
        for item in run.records:
            own = {name: np.asarray(column).tolist() for name, column in item.result.table().items()}
            rows = len(next(iter(own.values())))
            before = len(together["run"])
            together["run"] += [run.label] * rows
            together["seed"] += [item.meta.get("seed", "")] * rows
            for name in own:
                together.setdefault(name, [""] * before)
            for name in list(together)[2:]:
                together[name] += own.get(name, [""] * rows)
    return together


def median(run: Run[Measured], pick: Callable[[Any], float]) -> float:
    """The median of a number over the seeds of a run."""
    return float(np.median([pick(item.result) for item in run.records]))
