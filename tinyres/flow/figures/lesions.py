"""What a net can do without some of its blocks, with the first of them only, or with blocks in another order.

After Veit, Wilber, Belongie 2016, figures 3 to 5: test error over what was done to the net, next to the whole net's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinyres.flow.figures.axes import band
from tinyres.flow.figures.measured import curves, median, tables
from tinyres.flow.figures.runs import Measured, Run, note, runs_of
from tinyres.flow.figures.style import SCREEN, Drawing, Sheet, Style, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ERROR = "test error, %"
WHAT = "Fraction of wrong answers on {examples:,} test images in evaluation mode, without further training. "
REMOVED = (
    "A residual block is removed by zeros in its branch, so that its shortcut remains; a plain one by the identity. "
    "Horizontal: the whole net. "
)
SQUARES = "Squares: blocks that halve the image."
SHUFFLED = (
    "Pairs of blocks of equal shape exchange their weights, perhaps back again. Kendall's τ of the new order with "
    "that of training: 1 for that very order, 0 for none of it. Line: median over draws; area: their range."
)


def lesions(
    each: Sequence[Measured], some: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False
) -> Drawing:
    """Draw the error without each block, and without several at random: `measures.lesion.delete_each`, `delete_random`.

    The table is that of `each`, followed by that of `some`.
    """
    runs, drawn = runs_of(each, bands), runs_of(some, bands)
    text = WHAT.format(examples=each[0].result.examples) + REMOVED + SQUARES
    with Sheet(style, 2, title="Without some of its blocks", note=[text, note(runs)], sharex=False) as sheet:
        one, many = sheet.panels
        curves(sheet, one, runs, lambda r: (range(1, len(r.error) + 1), 100 * r.error), log=False, marker="o", ms=3)
        for run, other in zip(runs, drawn, strict=True):
            r = run.first.result
            wide = np.flatnonzero(r.changes_shape)
            one.plot(
                wide + 1, 100 * _median(run)[wide], "s", ms=6, mfc="none", color=look(run.place, run.family)["color"]
            )
            _whole(one, run)
            _whole(many, run)
            _over(many, other, lambda r: r.amount)
        one.set_title("one block removed")
        many.set_title("several removed, at random")
        one.set_xlabel("number of the block")
        many.set_xlabel("blocks removed")
        one.set_ylabel(ERROR)
        if style.columns == 1:
            many.set_ylabel(ERROR)
        one.set_ylim(-2, 102)
    table, more = tables(runs), tables(drawn)
    count = len(table["run"])
    together = {
        name: table.get(name, [""] * count) + more.get(name, [""] * len(more["run"]))
        for name in dict.fromkeys([*table, *more])
    }
    said = [
        f"{run.label}: error {median(run, lambda r: r.whole_error):.1%} whole, "
        f"{median(run, lambda r: float(np.median(r.error))):.1%} in the median without one block, "
        f"{median(run, lambda r: float(r.error.max())):.1%} without the block that matters most"
        for run in runs
    ]
    return Drawing(sheet.figure, together, said)


def truncation(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the error with the first k blocks only: the results of `measures.lesion.truncate`."""
    runs = runs_of(measured, bands)
    text = WHAT.format(examples=measured[0].result.examples) + REMOVED
    with Sheet(style, 1, title="With its first blocks only", note=[text, note(runs)]) as sheet:
        (axes,) = sheet.panels
        curves(sheet, axes, runs, lambda r: (r.amount, 100 * r.error), log=False, marker="o", ms=3)
        for run in runs:
            _whole(axes, run)
        axes.set_ylim(-2, 102)
        sheet.labels("blocks kept, from the input", ERROR)
    said = [
        f"{run.label}: within one point of the whole net's {median(run, lambda r: r.whole_error):.1%} error with the "
        f"first {median(run, _enough):.0f} of {len(run.first.result.blocks)} blocks"
        for run in runs
    ]
    return Drawing(sheet.figure, tables(runs), said)


def shuffling(measured: Sequence[Measured], *, style: Style = SCREEN, bands: bool = False) -> Drawing:
    """Draw the error after blocks changed places: the results of `measures.lesion.shuffle`."""
    runs = runs_of(measured, bands)
    text = WHAT.format(examples=measured[0].result.examples) + SHUFFLED
    with Sheet(
        style, 2, title="With blocks in another order", note=[text, note(runs)], sharex=False, whole=False
    ) as sheet:
        by_tau, by_count = sheet.panels
        for run in runs:
            for k, item in enumerate(run.records):
                label = run.label if k == 0 else None
                by_tau.plot(
                    item.result.tau,
                    100 * item.result.error,
                    "o",
                    ms=3,
                    color=look(run.place, run.family)["color"],
                    label=label,
                )
            _over(by_count, run, lambda r: r.amount)
            for axes in sheet.panels:
                _whole(axes, run)
        by_tau.set_title("by how far the order changed")
        by_tau.set_xlabel("Kendall's τ")
        lowest = min(float(item.result.tau.min()) for run in runs for item in run.records)
        margin = 0.04 * max(1 - lowest, 0.1)
        by_tau.set_xlim(1 + margin, lowest - margin)  # the order of training to the left
        by_count.set_title("by exchanges made")
        by_count.set_xlabel("exchanges")
        by_count.set_xticks(np.unique(np.concatenate([item.result.amount for run in runs for item in run.records])))
        by_tau.set_ylabel(ERROR)
        by_tau.set_ylim(-2, 102)
    said = [
        f"{run.label}: error {median(run, lambda r: r.whole_error):.1%} in order, "
        f"{median(run, lambda r: float(np.median(r.error[r.amount == r.amount.min()]))):.1%} after "
        f"{run.first.result.amount.min()} exchange(s), "
        f"{median(run, lambda r: float(np.median(r.error[r.amount == r.amount.max()]))):.1%} after "
        f"{run.first.result.amount.max()}"
        for run in runs
    ]
    return Drawing(sheet.figure, tables(runs), said)


def _over(axes: Axes, run: Run[Measured], amount: Callable[[Any], NDArray[Any]]) -> None:
    """Median and range of the error over draws (and seeds), by amount."""
    x = np.unique(np.concatenate([amount(item.result) for item in run.records]))
    groups = [np.concatenate([100 * i.result.error[amount(i.result) == each] for i in run.records]) for each in x]
    axes.plot(x, [np.median(group) for group in groups], marker="o", ms=3, **look(run.place, run.family))
    band(
        axes,
        x,
        [group.min() for group in groups],
        [group.max() for group in groups],
        look(run.place, run.family)["color"],
    )


def _whole(axes: Axes, run: Run[Measured]) -> None:
    height = 100 * median(run, lambda r: r.whole_error)
    axes.axhline(height, color=look(run.place, run.family)["color"], lw=0.7, ls=(0, (1, 2)), zorder=1)


def _median(run: Run[Measured]) -> NDArray[Any]:
    return np.asarray(np.median([item.result.error for item in run.records], axis=0))


def _enough(result: Any) -> float:
    """The fewest blocks with which, and with any more, the error is within one point of the whole net's."""
    worse = np.flatnonzero(result.error > result.whole_error + 0.01)
    first = worse[-1] + 1 if len(worse) else 0
    return float(result.amount[min(first, len(result.amount) - 1)])
