"""Figures of residual blocks: response strength of branch and stream, and the two parts of the incoming gradient.

    y = shortcut(x) + branch(x)                        forward: the spread of both summands and of the sum
    d loss / d x = part through the shortcut + part through the branch        backward: their norms and their cosine

By depth and sorted by size as in Fig. 7 of He et al. 2015 (whose own curves, of single layers and plain nets too, are
in `signals`); that with batch norm a branch is 1/sqrt(l) of its stream at block l is De and Smith 2020, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import FlowError
from tinyres.flow.figures.axes import band, line, reference
from tinyres.flow.figures.runs import Run, note, runs_of
from tinyres.flow.figures.style import COLOURS, SCREEN, Drawing, Sheet, Style, look
from tinyres.flow.record import SPLIT, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEPTH = "depth of the block's output (weighted layers)"
RESPONSES = (
    "Standard deviation, over a batch, positions and channels, of the branch's output (bold) and of its sum with the "
    "shortcut (thin), both before the last ReLU of the block."
)
PARTS = (
    "The gradient of the loss at a block's input x is the sum of a part s that came through the shortcut and a part b "
    "through the branch; norms over a whole batch. Error: ‖∂loss/∂x − (s + b)‖ / ‖∂loss/∂x‖."
)


def branches(records: Sequence[Record], *, style: Style = SCREEN, step: int = -1, bands: bool = False) -> Drawing:
    """Draw the spread of branches and streams at one step: by depth, sorted, and their ratio.

    Parameters
    ----------
    records : sequence of Record
        Plain nets among them have no blocks and are left out.
    style : Style
    step : int
        The recorded step nearest to it; -1 is the last one.
    bands : bool
        Put seeds of one model together: median and range.

    Returns
    -------
    Drawing
        Table: run, seed, step, block, depth, branch_std, stream_std, shortcut_std, ratio.

    Raises
    ------
    FlowError
        No record has residual blocks.
    """
    runs = _with_blocks(records, bands)
    columns = ("run", "seed", "step", "block", "depth", "branch_std", "stream_std", "shortcut_std", "ratio")
    table: dict[str, list[Any]] = {name: [] for name in columns}
    said = _left_out(records)
    with Sheet(
        style, 3, title=_at("Strength of the branches", runs, step), note=[RESPONSES, note(runs)], sharex=False
    ) as sheet:
        for axes, text in zip(sheet.panels, ("by depth", "sorted by size", "branch / stream, by depth"), strict=True):
            axes.set_title(text)
        by_depth, by_size, share = sheet.panels
        for run in runs:
            x = run.first.block_depth
            branch, stream = _at_step(run, "branch_std", step), _at_step(run, "stream_std", step)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = branch / stream
            bold = {**look(run.place, run.family), "lw": 1.3 * style.line}
            _draw(sheet, by_depth, x, stream, **{**bold, "lw": 0.6 * style.line})
            _draw(sheet, by_depth, x, branch, label=run.label, **bold)
            _draw(sheet, by_size, np.arange(1, len(x) + 1), -np.sort(-branch, axis=1), **bold)
            _draw(sheet, share, x, ratio, **bold)
            _write(table, run, step, (branch, stream, _at_step(run, "shortcut_std", step), ratio))
            middle = np.median(ratio, axis=0)
            said.append(
                f"{run.label}, {_step_of(run, step)}: branch / stream {_typical(middle):.3f} in the median of "
                f"{len(x)} blocks, {middle[-1]:.3f} in the last"
            )
        reference(share, 1.0)
        sheet.labels(DEPTH, "standard deviation, and ratio")
        by_size.set_xlabel("rank of the block's branch")
        by_depth.set_xlabel(DEPTH)
    return Drawing(sheet.figure, table, said)


def split(records: Sequence[Record], *, style: Style = SCREEN, step: int = -1, bands: bool = False) -> Drawing:
    """Draw the two parts of the gradient that arrives at each block's input, their cosine, and the check of the sum.

    Parameters
    ----------
    records : sequence of Record
        Plain nets among them are left out.
    style : Style
    step : int
        The recorded step nearest to it; -1 is the last one.
    bands : bool
        Put seeds of one model together: median and range.

    Returns
    -------
    Drawing
        Table: run, seed, step, block, depth, shortcut_norm, branch_norm, total_norm, cosine, error.

    Raises
    ------
    FlowError
        No record has residual blocks.
    """
    runs = _with_blocks(records, bands)
    columns = ("run", "seed", "step", "block", "depth", "shortcut_norm", "branch_norm", "total_norm", "cosine", "error")
    table: dict[str, list[Any]] = {name: [] for name in columns}
    said = _left_out(records)
    title = _at("What the shortcut and the branch bring to a gradient", runs, step)
    with Sheet(style, len(runs) + 2, title=title, note=[PARTS, note(runs)], sharey=False) as sheet:
        cosine, error = sheet.panels[-2:]
        for number, (run, axes) in enumerate(zip(runs, sheet.panels, strict=False)):
            x, parts = run.first.block_depth, [_at_step(run, name, step) for name in SPLIT]
            s, b, whole, angle, wrong = parts
            axes.set_title(run.label)
            axes.set_ylabel("norm of the gradient")
            _draw(sheet, axes, x, whole, color="#000000", lw=0.6 * style.line, ls=(0, (1, 1)), label="whole gradient")
            _draw(sheet, axes, x, s, color=COLOURS[0], label="through the shortcut")
            _draw(sheet, axes, x, b, color=COLOURS[1], label="through the branch")
            ink = COLOURS[2 + number % (len(COLOURS) - 2)]  # the first two are those of the parts
            many = {"label": run.label} if len(runs) > 1 else {}
            _draw(sheet, cosine, x, angle, log=False, color=ink, marker="o", ms=2.5, **many)
            _draw(sheet, error, x, wrong, color=ink, marker="o", ms=2.5)
            _write(table, run, step, parts)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio, worst = _typical(b / s), _typical(wrong, np.max)
            said.append(
                f"{run.label}, {_step_of(run, step)}: branch / shortcut {ratio:.3f} in the median of {len(x)} blocks, "
                f"cosine {_typical(angle):+.3f}, largest error of the sum {worst:.1e}"
            )
        norms = sheet.panels[:-2]
        limits = [limit for axes in norms for limit in axes.get_ylim()]
        for axes in norms:  # common axes, but not with the cosine
            axes.set_ylim(min(limits), max(limits))
        cosine.set_title("cosine between the two parts")
        cosine.set_ylim(-1.05, 1.05)
        reference(cosine, 0.0)
        error.set_title("error of their sum")
        for axes in sheet.bottom:
            axes.set_xlabel(DEPTH)
    return Drawing(sheet.figure, table, said)


def _with_blocks(records: Sequence[Record], bands: bool) -> list[Run[Record]]:
    residual = [record for record in records if len(record.block)]
    if not residual:
        names = ", ".join(record.title for record in records)
        raise FlowError(
            f"there is no residual block in the records of {names}; name a residual net that tinyres recorded."
        )
    return runs_of(residual, bands)


def _left_out(records: Sequence[Record]) -> list[str]:
    """A sentence for each net without a block."""
    return [f"{record.title}: no residual block, left out" for record in records if not len(record.block)]


def _step_of(run: Run[Record], step: int) -> str:
    return f"step {run.first.step[run.first.rows([step])[0]]}"


def _at(title: str, runs: Sequence[Run[Record]], step: int) -> str:
    return f"{title}, {' and '.join(dict.fromkeys(_step_of(run, step) for run in runs))}"


def _at_step(run: Run[Record], name: str, step: int) -> NDArray[np.float64]:
    """An array of the schema at one step, for every seed: [seeds, B]."""
    rows = [getattr(record, name)[record.rows([step])[0]] for record in run.records]
    if len({len(row) for row in rows}) > 1:
        raise FlowError(f"the records of {run.label} have different blocks; draw them without --bands.")
    return np.stack(rows)


def _typical(values: NDArray[np.float64], of: Callable[..., Any] = np.median) -> float:
    """The median, or another number, of what is finite; NaN if nothing is."""
    fine = values[np.isfinite(values)]
    return float(of(fine)) if len(fine) else float("nan")


def _draw(sheet: Sheet, axes: Axes, x: NDArray[Any], values: NDArray[np.float64], **style: Any) -> None:
    """The median over seeds as a line, their range as a band."""
    line(sheet, axes, x, np.median(values, axis=0), **style)
    if len(values) > 1:
        band(axes, x, values.min(axis=0), values.max(axis=0), style["color"])


def _write(table: dict[str, list[Any]], run: Run[Record], step: int, values: Sequence[NDArray[np.float64]]) -> None:
    for number, record in enumerate(run.records):
        count = len(record.block)
        at = int(record.step[record.rows([step])[0]])
        fixed = ([run.label] * count, [record.meta.get("seed", "")] * count, [at] * count)
        rows = (*fixed, record.block.tolist(), record.block_depth.tolist(), *(each[number].tolist() for each in values))
        for column, more in zip(table.values(), rows, strict=True):
            column += more
