"""A map of depth and training step: each cell is one layer at one recorded step, all panels on one scale of colours.

Cells that are exactly 0 are white and cells that are NaN or infinite are red, both outside the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import FlowError
from tinyres.flow.figures.axes import BROKEN, ZERO, matrix
from tinyres.flow.figures.depth import DEPTH
from tinyres.flow.figures.quantities import Quantity, profile
from tinyres.flow.figures.runs import note, runs_of
from tinyres.flow.figures.style import COLOURS, MATRIX, SCREEN, Drawing, Sheet, Style
from tinyres.flow.record import Record

RED = COLOURS[1]


def heat_map(
    records: Sequence[Record], quantity: Quantity, *, style: Style = SCREEN, kinds: Sequence[str] = ()
) -> Drawing:
    """Draw a quantity over depth and training step, a panel for each record.

    Parameters
    ----------
    records : sequence of Record
    quantity : Quantity
    style : Style
    kinds : sequence of str
        Only layers of these kinds; by default one for each depth.

    Returns
    -------
    Drawing
        Table: run, step, depth, layer, value.

    Raises
    ------
    FlowError
        Nothing but zeros and NaN.
    """
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.patches import Patch

    runs = runs_of(records)
    found = [profile(run.first, quantity, kinds) for run in runs]
    every = np.concatenate([np.abs(values).ravel() for _, _, values in found])
    fine = every[np.isfinite(every) & (every > 0)]
    if not len(fine):
        raise FlowError(f"{quantity.name} is 0 or not finite everywhere in these records: there is no scale to draw.")
    norm = LogNorm(fine.min(), fine.max()) if quantity.log else Normalize(0, 1)
    colours = colormaps[MATRIX].with_extremes(bad=RED, under="white")
    table: dict[str, list[Any]] = {name: [] for name in ("run", "step", "depth", "layer", "value")}
    title = f"{quantity.title} over depth and training step"
    with Sheet(style, len(runs), title=title, note=[quantity.definition, note(runs)]) as sheet:
        for axes, run, (depth, names, values) in zip(sheet.panels, runs, found, strict=True):
            sizes = np.where(np.isfinite(values), np.abs(values), np.nan)
            places = np.arange(len(depth)) if len(set(depth.tolist())) < len(depth) else depth
            shown = np.where(sizes == 0, fine.min() / 10, sizes) if quantity.log else sizes  # below the scale: white
            image = matrix(axes, places, run.first.step, shown, norm=norm, cmap=colours)
            axes.set_title(run.label)
            if (sizes == 0).any() and quantity.log:
                sheet.legend(ZERO, Patch(facecolor="white", edgecolor="#888888"))
            if np.isnan(sizes).any():
                sheet.legend(BROKEN, Patch(facecolor=RED))
            _write(table, run.label, run.first.step, depth, names, values)
        bar = sheet.figure.colorbar(image, ax=sheet.panels, pad=0.015, aspect=32, fraction=0.05)
        bar.set_label(quantity.label)
        bar.outline.set_visible(False)
        sheet.labels(DEPTH if not kinds else "layer, in the order of the forward pass", "training step")
    said = [
        f"{quantity.label} between {fine.min():.3g} and {fine.max():.3g}: a factor of {fine.max() / fine.min():.3g}"
    ]
    return Drawing(sheet.figure, table, said)


def _write(
    table: dict[str, list[Any]],
    label: str,
    steps: NDArray[np.int64],
    depth: NDArray[np.int64],
    names: Sequence[str],
    values: NDArray[np.float64],
) -> None:
    count, layers = values.shape
    table["run"] += [label] * (count * layers)
    table["step"] += np.repeat(steps, layers).tolist()
    table["depth"] += np.tile(depth, count).tolist()
    table["layer"] += [*names] * count
    table["value"] += values.ravel().tolist()
