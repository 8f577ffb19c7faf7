"""Figures of the forward pass: signal propagation, strength of responses, and which ReLUs are on together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tinyres.flow.figures.axes import reference
from tinyres.flow.figures.measured import curves, median, tables
from tinyres.flow.figures.runs import Measured, note, runs_of
from tinyres.flow.figures.style import SCREEN, Drawing, Sheet, Style

DEPTH = "depth (weighted layers up to here)"
SIGNAL = (
    "Stream: the input of the first block and the sum of each block, before its ReLU; in a plain net the result of "
    "each layer's weights. Over examples and pixels of a batch: squared mean and variance of each channel, averaged "
    "over channels. Branch: variance at its end, before the sum (none in a plain net)."
)
RESPONSE = (
    "Standard deviation of the response of each layer over examples, pixels and channels: its output after {after}, "
    "before the ReLU or the sum. After Fig. 7 of He et al. 2015."
)
TOGETHER = (
    "Over the units of each ReLU: the share of examples for which a unit is on; the share of pairs of examples that "
    "both switch it on (25 % if each does so half of the time, by chance); and the share of units that are always on "
    "or always off, hence linear on this batch (thin: always off, dead). {examples} examples."
)


def propagation(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the results of `measures.signal.signal_propagation` against depth."""
    runs = runs_of(measured, bands)
    with Sheet(style, 3, title="Signal propagation", note=[SIGNAL, note(runs)]) as sheet:
        mean, variance, branch = sheet.panels
        curves(sheet, mean, runs, lambda r: (r.depth, r.stream[:, 2]), marker="o", ms=2)
        curves(sheet, variance, runs, lambda r: (r.depth, r.stream[:, 3]), marker="o", ms=2)
        residual = [run for run in runs if np.isfinite(run.first.result.branch).any()]
        curves(sheet, branch, residual, _ended, marker="o", ms=2)
        mean.set_title("stream: channel mean, squared")
        variance.set_title("stream: channel variance")
        branch.set_title("branch: channel variance")
        sheet.labels(DEPTH, "average over channels")
    said = []
    for run in runs:
        first, last = median(run, lambda r: r.stream[0, 3]), median(run, lambda r: r.stream[-1, 3])
        said.append(
            f"{run.label}: the variance of the stream goes from {first:.4g} to {last:.4g}, x {last / first:.3g}"
        )
    return Drawing(sheet.figure, tables(runs), said)


def strength(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the results of `measures.response.responses`: by depth, and sorted by size."""
    runs = runs_of(measured, bands)
    after = {"norm": "batch norm", "weights": "its weights"}[runs[0].first.result.after]
    text = RESPONSE.format(after=after)
    with Sheet(style, 2, title="Strength of the layers' responses", note=[text, note(runs)], sharex=False) as sheet:
        by_depth, by_size = sheet.panels
        curves(sheet, by_depth, runs, lambda r: (r.depth, r.std), log=False, marker="o", ms=2)
        curves(sheet, by_size, runs, lambda r: (np.arange(1, len(r.std) + 1), r.sorted), log=False)
        by_depth.set_title("by depth")
        by_size.set_title("sorted by size")
        by_depth.set_xlabel(DEPTH)
        by_size.set_xlabel("rank")
        for axes in sheet.left:
            axes.set_ylabel("standard deviation")
        by_depth.set_ylim(0, 1.08 * by_depth.dataLim.y1)
    said = [
        f"{run.label}: mean response {median(run, lambda r: float(r.std.mean())):.3f} over "
        f"{len(run.first.result.std)} layers"
        for run in runs
    ]
    return Drawing(sheet.figure, tables(runs), said)


def together(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the results of `measures.coactivation.coactivation` against depth."""
    runs = runs_of(measured, bands)
    text = TOGETHER.format(examples=runs[0].first.result.examples)
    with Sheet(style, 3, title="Which ReLUs are on, and together", note=[text, note(runs)]) as sheet:
        draw = partial(curves, sheet, runs=runs, log=False)
        on, both, constant = sheet.panels
        draw(axes=on, pick=lambda r: (r.depth, 100 * r.active), marker="o", ms=2)
        draw(axes=both, pick=lambda r: (r.depth, 100 * r.together), marker="o", ms=2)
        draw(axes=constant, pick=lambda r: (r.depth, 100 * r.constant), marker="o", ms=2)
        draw(axes=constant, pick=lambda r: (r.depth, 100 * r.dead), lw=0.6 * style.line)
        reference(on, 50.0)
        reference(both, 25.0)
        on.set_title("on")
        both.set_title("on together")
        constant.set_title("constant, and dead (thin)")
        on.set_ylim(-2, 102)
        sheet.labels(DEPTH, "%")
    said = []
    for run in runs:
        pair, still, dead = (median(run, partial(_mean_of, name)) for name in ("together", "constant", "dead"))
        said.append(
            f"{run.label}: co-activation {pair:.1%}, constant units {still:.1%}, dead units {dead:.1%}, on average"
        )
    return Drawing(sheet.figure, tables(runs), said)


def _ended(result: Any) -> tuple[Any, Any]:
    there = np.isfinite(result.branch)
    return result.depth[there], result.branch[there]


def _mean_of(name: str, result: Any) -> float:
    return float(getattr(result, name).mean())
