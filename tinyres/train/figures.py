"""Figures of runs, drawn from metrics lines alone: error against iterations as in Fig. 6 of He et al. 2015.

Thin lines are training (running, on augmented batches), bold lines are test; dashed is validation. The colours are
those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinyres.train.folder import reason, write_atomically
from tinyres.train.metrics import Line, read_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, PALE = "#333333", "#BBBBBB"
THIN, BOLD = 1.0, 2.4


def draw_curves(folder: Path, title: str) -> Path | None:
    """Draw curves.png of a run folder from its metrics.jsonl.

    Never fails: what goes wrong is said on the error stream, and None is returned.
    """
    try:
        lines = read_lines(folder / "metrics.jsonl")
        if not lines:
            return None
        save(curves(lines, title), folder / "curves.png")
        return folder / "curves.png"
    except Exception as error:  # a figure is never a reason to lose a run
        print(f"tinyres: curves.png could not be drawn: {reason(error)}.", file=sys.stderr)
        return None


def curves(lines: Sequence[Line], title: str) -> Figure:
    """Error and loss of one run against iterations."""
    figure, (left, right) = panels(2)
    steps = [line["step"] for line in lines]
    styles = (
        ("train", "training", {"lw": THIN, "color": COLOURS[0]}),
        ("clean_train", "training, not augmented", {"lw": THIN, "color": COLOURS[5]}),
        ("validation", "validation", {"lw": 1.4, "color": COLOURS[2], "ls": (0, (4, 2))}),
        ("test", "test", {"lw": BOLD, "color": COLOURS[1]}),
    )
    for axes, measure, factor in ((left, "error", 100.0), (right, "loss", 1.0)):
        for prefix, label, style in styles:
            name = f"{prefix}_{measure}"
            if name in lines[0]:
                values = [line[name] * factor for line in lines]
                axes.plot(steps, values, label=label, marker="o" if len(lines) == 1 else None, **style)
        _mark_rates(axes, lines)
    finish(left, "error (%)", "error")
    finish(right, "cross-entropy", "loss")
    left.legend(frameon=False)
    last = lines[-1]
    selected = best_validation(lines)
    chosen = f", {selected['test_error']:.2%} where validation is best" if selected else ""
    figure.suptitle(f"{title}: test error {last['test_error']:.2%}{chosen}", x=0.01, ha="left", fontsize=12, color=INK)
    return figure


def compare_curves(runs: Mapping[str, Sequence[Sequence[Line]]], title: str) -> Figure:
    """Training error (left) and test error (right) of several networks: median over seeds, and the range as a band."""
    figure, (left, right) = panels(2, sharey=True)
    for axes, name, width in ((left, "train_error", THIN), (right, "test_error", BOLD)):
        for (model, seeds), colour in zip(runs.items(), _cycle(len(runs)), strict=True):
            steps = [line["step"] for line in seeds[0]]
            values = 100 * np.array([[line[name] for line in lines] for lines in seeds])  # [seeds, lines]
            middle = np.median(values, axis=0)
            axes.plot(steps, middle, color=colour, lw=width, label=model)
            if len(seeds) > 1:
                axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, lw=0)
        _mark_rates(axes, next(iter(runs.values()))[0])
    finish(left, "error (%)", "training error")
    finish(right, None, "test error")
    right.legend(frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    return figure


def confusion(matrix: NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    """Confusion matrix [K,K] (row: true class, column: answer) as shares of each row; readable up to 100 classes."""
    from matplotlib.figure import Figure

    count = len(classes)
    side = min(max(4.5, 2.2 + 0.42 * count), 17.0)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    small = count > 30
    upright = 0 if max(map(len, classes)) <= 3 and not small else 90
    axes.set_xticks(range(count), classes, rotation=upright, fontsize=6 if small else 9)
    axes.set_yticks(range(count), classes, fontsize=6 if small else 9)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    for row, column in zip(*np.nonzero(matrix), strict=True):
        ink, size = "white" if share[row, column] > 0.5 else INK, 4.5 if small else 8
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=size, color=ink)
    axes.set_title(title, loc="left", fontsize=12, color=INK)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true class", format=lambda value, _: f"{value:.0%}")
    return figure


def panels(count: int, sharey: bool = False) -> tuple[Figure, Any]:
    """A figure with `count` panels side by side; drawn without a window."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.9 * count, 3.9), layout="constrained")
    return figure, figure.subplots(1, count, sharey=sharey)


def finish(axes: Axes, label: str | None, title: str) -> None:
    """Axes as all our curves have them: from zero, light grid, no box."""
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("iterations")
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    if label:
        axes.set_ylabel(label)
    axes.grid(axis="y", color="#E6E6E6", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_atomically(path, picture.getvalue())


def best_validation(lines: Sequence[Line]) -> Line | None:
    """The line with the lowest validation error, the first of equals; None without a validation split."""
    held_out = [line for line in lines if "validation_error" in line]
    return min(held_out, key=lambda line: line["validation_error"]) if held_out else None


def _cycle(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _mark_rates(axes: Axes, lines: Sequence[Line]) -> None:
    """A pale vertical line wherever the learning rate was divided, if that was at a few places."""
    drops = [(a["step"], b["lr"]) for a, b in itertools.pairwise(lines) if b["lr"] < 0.5 * a["lr"]]
    if len(drops) <= 4:
        for step, rate in drops:
            axes.axvline(step, color=PALE, lw=0.8, ls=(0, (2, 2)), zorder=0)
            axes.annotate(
                f"lr {rate:.3g}", (step, 0.98), xycoords=("data", "axes fraction"), xytext=(3, 0),
                textcoords="offset points", va="top", fontsize=7, color="#888888",
            )  # fmt: skip
