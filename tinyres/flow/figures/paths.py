"""How long the paths are that a gradient comes on: their number, the norm of one, and all of one length together.

After Veit, Wilber, Belongie 2016, figure 6, with exact parts instead of sampled paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from tinyres.flow.figures.axes import reference
from tinyres.flow.figures.measured import curves, median, tables
from tinyres.flow.figures.runs import Measured, note, runs_of
from tinyres.flow.figures.style import SCREEN, Drawing, Sheet, Style

DEFINITION = (
    "Each of n blocks is passed by its shortcut or its branch: 2^n paths. g_k is the part of the gradient g at the "
    "first block that comes on paths through exactly k branches; the parts add up to g. Shares (bold): ‖g_k‖ / Σ‖g_j‖ "
    "over a whole batch. Contributions (thin): ⟨g_k, g⟩ / ⟨g, g⟩, negative where a part points away from the sum."
)


def paths(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the results of `measures.paths.path_lengths` against the length of the paths."""
    runs = runs_of(measured, bands)
    title = "The gradient by the length of its paths"
    with Sheet(style, 3, title=title, note=[DEFINITION, note(runs)], sharey=False) as sheet:
        number, each, total = sheet.panels
        curves(sheet, number, runs, lambda r: (_lengths(r), [float(count) for count in r.paths]))
        curves(sheet, each, runs, lambda r: (_lengths(r), r.per_path))
        share = partial(curves, sheet, total, runs, log=False)
        share(lambda r: (_lengths(r), 100 * r.norm / r.norm.sum()), marker="o", ms=2.5)
        share(lambda r: (_lengths(r), 100 * r.contribution), lw=0.6 * style.line)
        reference(total, 0.0)
        number.set_title("number of paths")
        each.set_title("norm of one path, ‖g_k‖ / number")
        total.set_title("share of one length, %")
        for axes in sheet.bottom:
            axes.set_xlabel("length: branches on the path")
    said = []
    for run in runs:
        low, high = run.first.result.span()
        said.append(
            f"{run.label}: 90 % of the summed norms lie in paths of {low} to {high} of {run.first.result.blocks} "
            f"blocks; the parts sum to the gradient within {median(run, lambda r: r.error):.1e}"
        )
    return Drawing(sheet.figure, tables(runs), said)


def _lengths(result: Any) -> range:
    return range(result.blocks + 1)
