"""Singular values of Jacobians, and the ends of the Hessian's spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.flow.figures.axes import reference
from tinyres.flow.figures.measured import curves, median, tables
from tinyres.flow.figures.runs import Measured, note, runs_of
from tinyres.flow.figures.style import INK, SCREEN, Drawing, Sheet, Style, look

JACOBIAN = (
    "Singular values of J = d({end}) / d({start}), one matrix {shape} an image; the line is the median over images, "
    "with batch norm's statistics held constant. Values below 1e-3 of the largest are directions that are all but lost."
)
HESSIAN = (
    "Largest and smallest eigenvalue of the Hessian of the loss (mean over the batch) with respect to all parameters, "
    "by Lanczos iteration on Hessian-vector products, batch norm as in training. Below zero the loss bends downward."
)


def spectra(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the results of `measures.jacobian.spectrum`: values as they are, and relative to the largest."""
    runs = runs_of(measured, bands)
    result = runs[0].first.result
    text = JACOBIAN.format(start=result.start, end=result.end, shape=f"{result.shape[0]} x {result.shape[1]}")
    title = "Singular values of the Jacobian"
    with Sheet(style, 2, title=title, note=[text, note(runs)], sharey=False, sharex=True) as sheet:
        values, relative = sheet.panels
        curves(sheet, values, runs, lambda r: (_rank(r.values), _middle(r.values)))
        curves(sheet, relative, runs, lambda r: (_rank(r.values), _middle(r.relative)))
        reference(relative, 1e-3)
        values.set_title("singular values")
        relative.set_title("relative to the largest")
        for axes in sheet.bottom:
            axes.set_xlabel("rank of the singular value")
    said = []
    for run in runs:
        above = median(run, lambda r: float(np.median(r.above())))
        largest = median(run, lambda r: float(np.median(r.values[:, 0])))
        count = run.first.result.values.shape[1]
        said.append(f"{run.label}: {above:.0f} of {count} singular values above 1e-3 of the largest, {largest:.3g}")
    return Drawing(sheet.figure, tables(runs), said)


def curvature(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the results of `measures.hessian.curvature`: both eigenvalues of each net, and how iterations got there."""
    from matplotlib.ticker import SymmetricalLogLocator

    runs = runs_of(measured, bands)
    found = [
        abs(value) for run in runs for item in run.records for value in (item.result.largest, item.result.smallest)
    ]
    linear = 10 ** np.floor(np.log10(max(min(found), 1e-6 * max(found), 1e-12)))  # around 0 the axis is linear
    with Sheet(style, 2, title="Curvature of the loss", note=[HESSIAN, note(runs)], sharex=False) as sheet:
        ends, history = sheet.panels
        for axes in sheet.panels:
            axes.set_yscale("symlog", linthresh=linear, linscale=0.6)
            ticks = SymmetricalLogLocator(base=10, linthresh=linear)
            ticks.set_params(numticks=9)
            axes.yaxis.set_major_locator(ticks)
            reference(axes, 0.0)
        for number, run in enumerate(runs):
            for item in run.records:
                r, ink = item.result, look(run.place, run.family)["color"]
                for value, error, mark in ((r.largest, r.largest_error, "^"), (r.smallest, r.smallest_error, "v")):
                    ends.errorbar([number], [value], [error], fmt=mark, color=ink, ms=6, capsize=3, lw=style.line)
        ends.set_xticks(range(len(runs)), [run.label.replace(", ", "\n") for run in runs])
        ends.set_xlim(-0.6, len(runs) - 0.4)
        ends.grid(axis="x", visible=False)
        curves(sheet, history, runs, lambda r: (_rank(r.history.T), r.history[:, 0]), log=False)
        curves(sheet, history, runs, lambda r: (_rank(r.history.T), r.history[:, 1]), log=False)
        ends.set_title("largest (▲) and smallest (▼) eigenvalue")
        history.set_title("estimates")
        history.set_xlabel("Lanczos iteration")
        ends.set_ylabel("eigenvalue of the Hessian", color=INK)
    said = []
    for run in runs:
        low, high = median(run, lambda r: r.smallest), median(run, lambda r: r.largest)
        said.append(f"{run.label}: eigenvalues from {low:.4g} to {high:.4g}")
    return Drawing(sheet.figure, tables(runs), said)


def _rank(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.arange(1, values.shape[1] + 1)


def _middle(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.median(values, axis=0))
