"""Figures of residual blocks: response strength of branch and stream, and the two parts of the incoming gradient.

    y = shortcut(x) + branch(x)                        forward: the spread of both summands and of the sum
    d loss / d x = part through the shortcut + part through the branch        backward: their norms and their cosine

Response strength is after Fig. 7 of He et al. 2015, which draws the spread of each layer's response, by depth and
sorted by size; that a branch gets 1/sqrt(L) of its stream at depth L is De and Smith 2020, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import FlowError
from tinyres.flow.figures.axes import line, reference
from tinyres.flow.figures.runs import Run, note, runs_of
from tinyres.flow.figures.style import COLOURS, SCREEN, Drawing, Sheet, Style
from tinyres.flow.record import Record

DEPTH = "depth of the block's output (weighted layers)"
RESPONSES = (
    "Standard deviation, over a batch, positions and channels, of the branch's output (bold) and of its sum with the "
    "shortcut (thin), both before the last ReLU of the block."
)
PARTS = (
    "The gradient of the loss at a block's input x is the sum of a part s that came through the shortcut and a part b "
    "through the branch; norms over a whole batch. Error: ‖∂loss/∂x − (s + b)‖ / ‖∂loss/∂x‖."
)


def responses(records: Sequence[Record], *, style: Style = SCREEN, step: int = -1) -> Drawing:
    """Draw the spread of branches and streams at one step: by depth, sorted, and their ratio.

    Parameters
    ----------
    records : sequence of Record
        Plain nets among them have no blocks and are left out.
    style : Style
    step : int
        The recorded step nearest to it; -1 is the last one.

    Returns
    -------
    Drawing
        Table: run, step, block, depth, branch_std, stream_std, shortcut_std, ratio.

    Raises
    ------
    FlowError
        No record has residual blocks.
    """
    runs = _with_blocks(records)
    columns = ("run", "step", "block", "depth", "branch_std", "stream_std", "shortcut_std", "ratio")
    table: dict[str, list[Any]] = {name: [] for name in columns}
    said = []
    with Sheet(
        style, 3, title=_at("Response strength", runs, step), note=[RESPONSES, note(runs)], sharex=False
    ) as sheet:
        for axes, text in zip(sheet.panels, ("by depth", "sorted by size", "branch / stream, by depth"), strict=True):
            axes.set_title(text)
        by_depth, by_size, share = sheet.panels
        for number, run in enumerate(runs):
            record, ink = run.first, COLOURS[number % len(COLOURS)]
            t = int(record.rows([step])[0])
            branch, stream, x = record.branch_std[t], record.stream_std[t], record.block_depth
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = branch / stream
            line(sheet, by_depth, x, stream, color=ink, lw=0.6 * style.line)
            line(sheet, by_depth, x, branch, color=ink, lw=1.3 * style.line, label=run.label)
            order = np.argsort(-np.nan_to_num(branch, nan=-1.0))
            line(sheet, by_size, np.arange(1, len(x) + 1), branch[order], color=ink, lw=1.3 * style.line)
            line(sheet, share, x, ratio, color=ink, lw=1.3 * style.line)
            _write(table, run, t, (branch, stream, record.shortcut_std[t], ratio))
            said.append(
                f"{run.label}, step {record.step[t]}: branch / stream {np.nanmedian(ratio):.3f} in the median of "
                f"{len(x)} blocks, {ratio[-1]:.3f} in the last"
            )
        reference(share, 1.0)
        sheet.labels(DEPTH, "standard deviation, and ratio")
        by_size.set_xlabel("rank of the block's branch")
        by_depth.set_xlabel(DEPTH)
    return Drawing(sheet.figure, table, said)


def split(records: Sequence[Record], *, style: Style = SCREEN, step: int = -1) -> Drawing:
    """Draw the two parts of the gradient that arrives at each block's input, their cosine, and the check of the sum.

    Parameters
    ----------
    records : sequence of Record
        Plain nets among them are left out.
    style : Style
    step : int
        The recorded step nearest to it; -1 is the last one.

    Returns
    -------
    Drawing
        Table: run, step, block, depth, shortcut_norm, branch_norm, total_norm, cosine, error.

    Raises
    ------
    FlowError
        No record has residual blocks.
    """
    runs = _with_blocks(records)
    columns = ("run", "step", "block", "depth", "shortcut_norm", "branch_norm", "total_norm", "cosine", "error")
    table: dict[str, list[Any]] = {name: [] for name in columns}
    said = []
    title = _at("What the shortcut and the branch bring to a gradient", runs, step)
    with Sheet(style, len(runs) + 2, title=title, note=[PARTS, note(runs)], sharey=False) as sheet:
        cosine, error = sheet.panels[-2:]
        for number, (run, axes) in enumerate(zip(runs, sheet.panels, strict=False)):
            record = run.first
            t = int(record.rows([step])[0])
            x, s, b = record.block_depth, record.split_shortcut_norm[t], record.split_branch_norm[t]
            whole, angle, wrong = record.split_total_norm[t], record.split_cosine[t], record.split_error[t]
            axes.set_title(run.label)
            axes.set_ylabel("norm of the gradient")
            line(sheet, axes, x, whole, color="#000000", lw=0.6 * style.line, ls=(0, (1, 1)), label="whole gradient")
            line(sheet, axes, x, s, color=COLOURS[0], label="through the shortcut")
            line(sheet, axes, x, b, color=COLOURS[1], label="through the branch")
            ink = COLOURS[2 + number % (len(COLOURS) - 2)]  # the first two are those of the parts
            many = {"label": run.label} if len(runs) > 1 else {}
            line(sheet, cosine, x, angle, log=False, color=ink, marker="o", ms=2.5, **many)
            line(sheet, error, x, wrong, color=ink, marker="o", ms=2.5)
            _write(table, run, t, (s, b, whole, angle, wrong))
            said.append(
                f"{run.label}, step {record.step[t]}: branch / shortcut {np.nanmedian(b / s):.3f} in the median of "
                f"{len(x)} blocks, cosine {np.nanmedian(angle):+.3f}, largest error of the sum {np.nanmax(wrong):.1e}"
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


def _with_blocks(records: Sequence[Record]) -> list[Run]:
    runs = [run for run in runs_of(records) if len(run.first.block)]
    if not runs:
        names = ", ".join(record.title for record in records)
        raise FlowError(f"there is no residual block in the records of {names}; name a run of a residual net.")
    return runs


def _at(title: str, runs: Sequence[Run], step: int) -> str:
    steps = dict.fromkeys(int(run.first.step[run.first.rows([step])[0]]) for run in runs)
    return f"{title}, step {', '.join(map(str, steps))}"


def _write(table: dict[str, list[Any]], run: Run, t: int, values: Sequence[NDArray[np.float64]]) -> None:
    record = run.first
    count = len(record.block)
    fixed = ([run.label] * count, [int(record.step[t])] * count, record.block.tolist(), record.block_depth.tolist())
    for column, more in zip(table.values(), (*fixed, *(value.tolist() for value in values)), strict=True):
        column += more
