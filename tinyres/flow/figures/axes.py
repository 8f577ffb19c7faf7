"""Lines and axes that hide nothing: on a log axis zeros lie on the floor and what is not finite hangs from the ceiling.

A line drawn by matplotlib has a gap where a value has no logarithm, which looks like a value that was not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinyres.flow.figures.style import BAND, INK, PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tinyres.flow.figures.style import Sheet

ZERO, BROKEN = "exactly 0", "NaN (or not measured) or infinite"


def line(sheet: Sheet, axes: Axes, x: ArrayLike, y: ArrayLike, *, log: bool = True, **style: Any) -> None:
    """Plot y over x; on a log axis with triangles on the floor for zeros and crosses at the top for NaN and infinity.

    Parameters
    ----------
    sheet : Sheet
        Whose legend explains the marks, if there are any.
    axes : Axes
    x, y : array_like [K]
    log : bool
        Make the y axis logarithmic. Values below zero are drawn by their size.
    **style
        Of the line, for `Axes.plot`.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import blended_transform_factory

    across, up = np.asarray(x, float), np.asarray(y, float)
    if log:
        axes.set_yscale("log")
        up = np.abs(up)
    fine = np.isfinite(up) & ((up > 0) | (not log))
    alone = fine & ~np.r_[False, fine[:-1]] & ~np.r_[fine[1:], False]  # a point between gaps is no line
    axes.plot(across, np.where(fine, up, np.nan), **style)
    colour, order = style.get("color", INK), style.get("zorder", 2)
    if alone.any():
        axes.plot(across[alone], up[alone], "o", ms=3, color=colour, zorder=order)
    edge = blended_transform_factory(axes.transData, axes.transAxes)
    marks = [(ZERO, "v", (up == 0) & log, 0.025), (BROKEN, "x", ~np.isfinite(up), 0.975)]
    for label, marker, where, height in marks:
        if where.any():
            places = np.full(int(where.sum()), height)
            axes.plot(across[where], places, marker, ms=4, color=colour, transform=edge, clip_on=False, zorder=order)
            axes.update_datalim([(across[where].min(), 1.0), (across[where].max(), 1.0)], updatey=False)
            sheet.legend(label, Line2D([], [], ls="none", marker=marker, color=INK, ms=4))


def band(axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: Any) -> None:
    """The range over several seeds, as a pale area."""
    axes.fill_between(
        np.asarray(x, float), np.asarray(low, float), np.asarray(high, float), color=colour, alpha=BAND, lw=0
    )


def matrix(axes: Axes, x: ArrayLike, y: ArrayLike, values: NDArray[Any], **style: Any) -> Any:
    """A map of values [len(y), len(x)] in cells that reach half way to their neighbours."""
    style.setdefault("rasterized", True)
    axes.grid(False)
    return axes.pcolormesh(edges(x), edges(y), values, **style)


def edges(places: ArrayLike) -> NDArray[np.float64]:
    """Borders half way between sorted places [K]: K + 1 of them; a lone place is one wide."""
    at = np.asarray(places, float)
    if len(at) < 2:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    middle = (at[1:] + at[:-1]) / 2
    return np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])


def reference(axes: Axes, height: float, label: str | None = None) -> None:
    """A pale line across, at a value that means something, with its name below it."""
    axes.axhline(height, color=PALE, lw=0.8, zorder=1)
    if label:
        axes.annotate(
            label, (1, height), xycoords=("axes fraction", "data"), xytext=(-2, -2), textcoords="offset points",
            ha="right", va="top", fontsize="small", color="#888888",
        )  # fmt: skip
