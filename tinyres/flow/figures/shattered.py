"""Shattered gradients: the gradient along a line of inputs, its autocorrelation, and cosines on the way to a neighbour.

After Balduzzi et al. 2017, "The shattered gradients problem", figures 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyres.flow.figures.axes import reference
from tinyres.flow.figures.measured import curves, median, tables
from tinyres.flow.figures.runs import Measured, note, runs_of
from tinyres.flow.figures.style import QUIET, SCREEN, Drawing, Sheet, Style, look

DEFINITION = (
    "Trace: derivative of one logit along a line of {points} inputs from one training image to another, divided by its "
    "largest size. Autocorrelation: of that trace, over the distance of inputs on the line; white noise has none, "
    "brown noise is the running sum of white noise. Cosine: between the input gradient at an image and at points on "
    "the way to its nearest neighbour, median over {images} images."
)


def shattered(
    along: Sequence[Measured], near: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False
) -> Drawing:
    """Draw the results of `measures.shattered`.

    Parameters
    ----------
    along, near : sequence of Measured
        The results of `shattering` along a line, and of `neighbours`, of the same nets.
    style : Style
    bands : bool
        Put seeds of one model together; the trace is that of the first seed.

    Returns
    -------
    Drawing
        Its table is the autocorrelation's, followed by the cosines'.
    """
    runs, close = runs_of(along, bands), runs_of(near, bands)
    text = DEFINITION.format(points=len(runs[0].first.result.gradients), images=len(close[0].first.result.cosine))
    panels = len(runs) + 2
    with Sheet(
        style, panels, title="Shattered gradients", note=[text, note(runs)], sharex=False, sharey=False, whole=False,
    ) as sheet:  # fmt: skip
        acf, cosine = sheet.panels[-2:]
        for run, axes in zip(runs, sheet.panels, strict=False):
            trace = run.first.result.gradients[:, 0]
            axes.plot(
                np.linspace(0, 1, len(trace)),
                trace / np.abs(trace).max(),
                color=look(run.place, run.family)["color"],
                lw=0.8,
            )
            reference(axes, 0.0)
            axes.set_ylim(-1.08, 1.08)
            axes.set_title(f"trace: {run.label}")
            axes.set_xlabel("place on the line")
        curves(sheet, acf, runs, lambda r: (r.lag, r.acf), log=False, marker="o", ms=2.5)
        noise = runs[0].first.result
        for values, dots, name in (
            (noise.brown, (0, (3, 1, 1, 1)), "brown noise"),
            (noise.white, (0, (1, 1)), "white noise"),
        ):
            acf.plot(noise.lag, values, color=QUIET, ls=dots, lw=0.9, label=name)
        acf.set_title("autocorrelation")
        acf.set_xlabel("lag, in inputs")
        curves(
            sheet, cosine, close, lambda r: (r.fraction, np.nanmedian(r.cosine, axis=0)), log=False, marker="o", ms=2.5
        )
        reference(cosine, 0.0)
        cosine.set_title("cosine toward the neighbour")
        cosine.set_xlabel("share of the way")
    table, more = tables(runs), tables(close)
    count, rest = len(table["run"]), len(more["run"])
    both = {n: table.get(n, [""] * count) + more.get(n, [""] * rest) for n in dict.fromkeys([*table, *more])}
    said = [
        f"{run.label}: autocorrelation {median(run, lambda r: r.acf[1]):+.3f} at lag 1, "
        f"{median(run, lambda r: r.acf[5]):+.3f} at lag 5; cosine with the neighbour's gradient "
        f"{median(other, lambda r: float(np.nanmedian(r.cosine[:, -1]))):+.3f}"
        for run, other in zip(runs, close, strict=True)
    ]
    return Drawing(sheet.figure, both, said)
