"""The roofline: work a byte to the right, work a second upward, the roof that this machine puts over both.

One panel a convolution op, since their layers lie at nearly the same places, and one for all other ops. A point is the
median of one kernel at one layer, its line the 10 % and 90 % quantiles; colour and shape say which kernel. Names hang
from the top on thin lines. Of a GPU, hot times are hollow, cold ones full; thin roofs are those of the tensor cores'
precisions and of the L2 cache. The roof is that of the best samples of the whole run; on a machine that is slower for
minutes, points lie below it for that reason too.
"""

from __future__ import annotations

import io
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyres.bench.layers import OPS
from tinyres.bench.results import STEP, Row
from tinyres.train.figures import COLOURS, INK, PALE, save
from tinyres.train.folder import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^vP*"
WIDTH, HEIGHT = 6.4, 4.9  # inches of a panel
LETTER = 10.5  # points that a name takes along the axis
ASIDE = 0.008  # of the axis: kernels of equal speed stand beside each other, not on each other
OTHERS = "other ops, all their layers"


@dataclass(frozen=True)
class Ceilings:
    """What a GPU has above its first roof: peaks by precision (GFLOP/s), and the bandwidth of its L2 cache (GB/s)."""

    peaks: Mapping[str, float] = field(default_factory=dict)
    cache: float | None = None


def draw(rows: Sequence[Row], roof: dict[str, Any], title: str, folder: Path) -> list[Path]:
    """Draw roofline.png and roofline.svg in a folder; without rows of kernels nothing is drawn.

    Parameters
    ----------
    rows : sequence of Row
    roof : dict
        As in the file: `peak_gflops` and `bandwidth_gbs`.
    title : str
    folder : Path

    Returns
    -------
    list of Path
        The files written.
    """
    rows = [row for row in rows if row.op != STEP and row.traffic and row.operations]
    if not rows:
        return []
    above = Ceilings(roof.get("peaks_gflops", {}), roof.get("bandwidths_gbs", {}).get("hot"))
    figure = roofline(rows, roof["peak_gflops"], roof["bandwidth_gbs"], title, above)
    files = [folder / "roofline.png", folder / "roofline.svg"]
    save(figure, files[0])
    text = io.BytesIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    write_atomically(files[1], text.getvalue())
    return files


def roofline(rows: Sequence[Row], peak: float, bandwidth: float, title: str, above: Ceilings = Ceilings()) -> Figure:
    """The figure of `draw`; `peak` in GFLOP/s, `bandwidth` in GB/s."""
    from matplotlib.figure import Figure

    panels: dict[str, list[Row]] = {}
    for row in rows:
        panels.setdefault(row.op if row.op in OPS["conv"] else OTHERS, []).append(row)
    styles = dict(zip(dict.fromkeys(row.kernel for row in rows), _styles(), strict=False))
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(max(WIDTH * columns, 8.0), HEIGHT * lines + 0.6), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (name, group) in zip(grid, panels.items(), strict=False):
        _panel(axes, name, group, peak, bandwidth, styles)
        _above(axes, peak, bandwidth, above)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    handles, labels = grid[0].get_legend_handles_labels()
    for axes in grid[1 : len(panels)]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=min(7, len(labels)), frameon=False, fontsize=10)
    return figure


def _styles() -> itertools.cycle[dict[str, Any]]:
    pairs = zip(itertools.cycle(COLOURS), MARKERS * len(COLOURS), strict=False)
    return itertools.cycle({"color": colour, "marker": marker} for colour, marker in pairs)


def _panel(
    axes: Axes, name: str, rows: list[Row], peak: float, bandwidth: float, styles: dict[str, dict[str, Any]]
) -> None:
    intensity = {row.key: row.operations / row.traffic for row in rows}
    low, high = min(intensity.values()) / 1.7, max(intensity.values()) * 1.7
    ridge = peak / bandwidth
    if high < ridge < 4 * high or low / 4 < ridge < low:  # near enough to show where the roof turns
        low, high = min(low, ridge / 1.7), max(high, ridge * 1.7)
    fastest = max(row.operations / row.spread[0] / 1e9 for row in rows)
    floor = min(row.gflops for row in rows) / 1.6
    top = max(min(peak, high * bandwidth), fastest)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(floor, top * (top / floor) ** 0.45))
    edges = sorted({low, high, min(max(ridge, low), high)})
    axes.plot(edges, [min(peak, bandwidth * x) for x in edges], color=INK, lw=2, zorder=2)
    if ridge < high:
        said: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 8, "color": INK, "xytext": (-4, 3)}
        axes.annotate(f"peak {peak:,.0f} GFLOP/s", (high, peak), textcoords="offset points", **said)
    if low < ridge:
        x = math.sqrt(low * min(ridge, high))
        turned: dict[str, Any] = {"rotation": math.degrees(math.atan2(bandwidth, 1)), "transform_rotates_text": True}
        said = {"ha": "center", "va": "bottom", "rotation_mode": "anchor", "fontsize": 8, "color": INK}
        axes.text(x, 1.04 * bandwidth * x, f"memory {bandwidth:.1f} GB/s", **said, **turned)
    for number, (kernel, style) in enumerate(styles.items()):
        aside = math.exp(ASIDE * math.log(high / low) * (number - (len(styles) - 1) / 2))
        own = [row for row in rows if row.kernel == kernel]
        if own:
            xs, ys = [intensity[row.key] * aside for row in own], [row.gflops for row in own]
            ends = [
                [row.gflops - row.operations / row.spread[1] / 1e9 for row in own],
                [row.operations / row.spread[0] / 1e9 - row.gflops for row in own],
            ]
            axes.errorbar(xs, ys, ends, fmt="none", ecolor=style["color"], elinewidth=1, alpha=0.6, zorder=3)
            for hot in (False, True):
                at = [i for i, row in enumerate(own) if row.mode.startswith("hot") == hot]
                look = {"mfc": "white", "mec": style["color"], "mew": 1.2} if hot else {"mec": "white", "mew": 0.6}
                if at:
                    label = f"{kernel}, hot" if hot else kernel
                    places = [xs[i] for i in at], [ys[i] for i in at]
                    axes.plot(*places, ls="none", ms=6, label=label, zorder=4, **look, **style)
    _names(axes, name, rows, intensity)
    axes.set_title(name, loc="left", fontsize=10, color=INK)
    axes.set_xlabel("operations a byte of compulsory traffic", fontsize=9)
    axes.set_ylabel("GFLOP/s", fontsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        limits = axis.get_view_interval()
        axis.set_minor_formatter(_minor if max(limits) < 20 * min(limits) else _nothing)
    axes.grid(color="#E6E6E6", lw=0.6, which="major")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _above(axes: Axes, peak: float, bandwidth: float, above: Ceilings) -> None:
    """Thin lines of the roofs above the first, as far as the panel shows them."""
    (low, high), top = axes.get_xlim(), axes.get_ylim()[1]
    said: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 7.5, "color": INK, "xytext": (-4, 2)}
    for name, value in above.peaks.items():
        if peak < value < top and value / bandwidth < high:
            axes.plot([value / bandwidth, high], [value, value], color=INK, lw=0.8, ls="--", zorder=2)
            axes.annotate(f"{name} {value:,.0f} GFLOP/s", (high, value), textcoords="offset points", **said)
    if above.cache:
        ends = [low, min(high, max(peak, *above.peaks.values()) / above.cache)]
        if ends[1] > low:
            axes.plot(ends, [above.cache * x for x in ends], color=INK, lw=0.8, ls="--", zorder=2)


def _minor(value: float, _: object) -> str:
    """The number at a minor tick of a short axis: at 2 and 5 only."""
    digit = value / 10 ** math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if round(digit, 6) in (2, 5) else ""


def _nothing(value: float, _: object) -> str:
    return ""


def _names(axes: Axes, panel: str, rows: list[Row], intensity: dict[Any, float]) -> None:
    """Names of layers, or of ops, hanging from the top, moved aside where they would meet, each on a line to its x."""
    places: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        label = row.op if panel == OTHERS else row.layer
        places.setdefault(label, []).append((intensity[row.key], row.gflops))
    low, high = (math.log(x) for x in axes.get_xlim())
    found = sorted((statistics.median(x for x, _ in points), label) for label, points in places.items())
    wanted = [(math.log(x) - low) / (high - low) for x, _ in found]
    for (x, label), place in zip(found, apart(wanted, LETTER / (72 * WIDTH * 0.86)), strict=True):
        axes.annotate(
            label, (x, max(y for _, y in places[label])), xytext=(place, 0.99), textcoords="axes fraction", rotation=90,
            ha="center", va="top", fontsize=7.5, color=INK, zorder=1,
            arrowprops={"arrowstyle": "-", "color": PALE, "lw": 0.6, "relpos": (0.5, 0), "shrinkA": 1, "shrinkB": 4},
        )  # fmt: skip


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Sorted places in [0, 1], moved as little as needs be to lie `gap` from each other, if there is room for that."""
    gap = min(gap, 1 / max(1, len(places)))
    blocks: list[list[float]] = []  # each a run of places side by side: [sum of (place - own offset), how many]
    for place in places:
        blocks.append([place, 1.0])
        while len(blocks) > 1 and _start(blocks[-2], gap) + blocks[-2][1] * gap > _start(blocks[-1], gap):
            total, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total - count * blocks[-1][1] * gap, blocks[-1][1] + count]
    return [_start(block, gap) + k * gap for block in blocks for k in range(int(block[1]))]


def _start(block: list[float], gap: float) -> float:
    """Where a run of places begins: at the mean of what its members want, inside [0, 1]."""
    return min(max(block[0] / block[1], gap / 2), 1 - gap / 2 - (block[1] - 1) * gap)
