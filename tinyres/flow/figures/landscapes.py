"""The loss around the weights: on a line, all nets in one panel; on a plane, a map for each net on common levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinyres.flow.figures.measured import curves, median, tables
from tinyres.flow.figures.runs import Measured, Run, note, runs_of
from tinyres.flow.figures.style import MATRIX, SCREEN, Drawing, Sheet, Style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFINITION = (
    "Loss (mean over the batch) at w + a d{more}, w the net's weights, d a random direction in which each filter is as "
    "long as the net's own (Li et al. 2018); biases and batch norm's vectors stay. Batch norm: {statistics} statistics."
)
LEVELS = 16


def landscapes(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the results of `measures.landscape.landscape`, of one dimension or of two."""
    runs = runs_of(measured, bands)
    first = runs[0].first.result
    flat = len(first.axes) == 1
    text = DEFINITION.format(more="" if flat else " + b e", statistics=first.statistics)
    if flat:
        with Sheet(
            style, 2, title="The loss on a line", note=[text, note(runs)], sharey=False, whole=False
        ) as sheet:  # fmt: skip
            loss, error = sheet.panels
            curves(sheet, loss, runs, lambda r: (r.axes[0], r.loss))
            curves(sheet, error, runs, lambda r: (r.axes[0], 100 * r.error), log=False)
            loss.set_title("loss")
            error.set_title("error, %")
            error.set_ylim(-2, 102)
            for axes in sheet.bottom:
                axes.set_xlabel("a, in lengths of the filters")
        figure = sheet.figure
    else:
        figure = _planes(runs, text, style)
    centre = tuple(len(axis) // 2 for axis in first.axes)
    said = [
        f"{run.label}: loss {median(run, lambda r: r.loss[centre]):.4g} at the centre, median "
        f"{median(run, lambda r: float(np.median(r.loss))):.4g}, largest "
        f"{median(run, lambda r: float(np.nanmax(r.loss))):.4g}"
        for run in runs
    ]
    return Drawing(figure, tables(runs), said)


def _planes(runs: Sequence[Run[Measured]], text: str, style: Style) -> Figure:
    """Contours on levels that are common to all nets, evenly spaced in the logarithm of the loss."""
    from matplotlib.colors import LogNorm

    every = np.concatenate([run.first.result.loss.ravel() for run in runs])
    fine = every[np.isfinite(every) & (every > 0)]
    low, high = (float(fine.min()), float(fine.max())) if len(fine) else (0.1, 1.0)
    levels = np.geomspace(low * 0.999, max(high, 1.1 * low) * 1.001, LEVELS)
    norm = LogNorm(levels[0], levels[-1])
    with Sheet(
        style, len(runs), title="The loss on a plane", note=[text, note(runs)], whole=False, height=1.15
    ) as sheet:
        for axes, run in zip(sheet.panels, runs, strict=True):
            r = run.first.result
            heights = np.clip(np.where(np.isfinite(r.loss), r.loss, np.nan), levels[0], None).T  # rows are b
            drawn = axes.contourf(r.axes[0], r.axes[1], heights, levels, norm=norm, cmap=MATRIX)
            axes.contour(r.axes[0], r.axes[1], heights, levels, colors="white", linewidths=0.4)
            axes.plot(0, 0, "+", color="white", ms=8, mew=1.4)
            axes.set_title(run.label)
            axes.set_aspect("equal")
            axes.grid(False)
        bar = sheet.figure.colorbar(drawn, ax=sheet.panels, pad=0.015, aspect=32, fraction=0.05, format="{x:.3g}")
        bar.set_label("loss")
        sheet.labels("a", "b")
    return sheet.figure
