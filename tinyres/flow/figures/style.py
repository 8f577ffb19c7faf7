"""One look for all figures of gradient flow: sizes, colours, and a sheet that lays out title, legend, panels and note.

    screen   panels side by side, PNG and SVG
    paper    3.4 inches wide (one column of a two-column paper), panels below each other, PDF as well

Training steps are coloured by viridis, runs by the colours of Okabe and Ito, so that people with any colour vision tell
them apart; residual nets are drawn solid and in cool colours, plain ones dashed and in warm ones. What is drawn, from
which data and which seed stands below the panels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinyres.errors import ConfigError, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
INK, QUIET, PALE, GRID = "#333333", "#666666", "#BBBBBB", "#E6E6E6"
PALETTES = {  # residual nets are cool, plain ones warm
    "residual": ("#0072B2", "#009E73", "#56B4E9", "#000000"),
    "plain": ("#D55E00", "#E69F00", "#CC79A7"),
    "": COLOURS,
}
DASHES = {"residual": "-", "plain": (0, (5, 2)), "": "-"}
MORE = ((0, (9, 1.5, 1.5, 1.5)), (0, (1.5, 1.5)), (0, (4, 1.5, 1.5, 1.5, 1.5, 1.5)))  # when the colours begin again
STEPS, MATRIX, SIGNED = "viridis", "cividis", "PuOr_r"
BAND = 0.18  # opacity of the range over seeds


@dataclass(frozen=True)
class Style:
    """Sizes of a figure, in inches and points."""

    name: str
    panel: float  # width of a panel
    height: float  # height of a panel
    columns: int  # panels side by side, at most
    least: float  # width of the whole figure, at least
    font: float
    line: float
    formats: tuple[str, ...]


SCREEN = Style("screen", panel=4.3, height=3.3, columns=3, least=6.2, font=9.5, line=1.5, formats=("png", "svg"))
PAPER = Style("paper", panel=3.4, height=2.0, columns=1, least=3.4, font=7.0, line=0.9, formats=("png", "svg", "pdf"))
STYLES = {style.name: style for style in (SCREEN, PAPER)}


def style_of(name: str) -> Style:
    """The style of a name; ConfigError for an unknown one."""
    if name not in STYLES:
        raise ConfigError(f"there is no style {name!r}{nearest(name, STYLES)}.")
    return STYLES[name]


@dataclass
class Drawing:
    """A finished figure, the numbers drawn in it as columns of equal length, and the ones worth saying aloud."""

    figure: Figure
    table: Mapping[str, Sequence[Any]]
    said: list[str] = field(default_factory=list)


def look(place: int, family: str) -> dict[str, Any]:
    """Colour and dashes of a run, by its place among those of its family."""
    colours = PALETTES[family]
    turn, number = divmod(place, len(colours))
    return {"color": colours[number], "ls": DASHES[family] if turn == 0 else MORE[(turn - 1) % len(MORE)]}


class Sheet:
    """A figure in the making: panels on common axes between a title with its legend and a note.

    Parameters
    ----------
    style : Style
    panels : int
        How many; they fill rows of at most `style.columns`.
    title : str
    note : sequence of str
        Paragraphs below the panels: the definition of what is drawn; data and seed.
    sharex, sharey : bool
        Whether panels have common axes.
    height : float
        Of a panel, in units of the style's own.
    whole : bool
        Ticks of linear x axes at whole numbers only: there is no layer 2.5.

    Examples
    --------
    >>> with Sheet(SCREEN, 2, title="norms", note=["what they are"]) as sheet:
    ...     lines = [axes.plot([1, 2], [3, 4], label="a run") for axes in sheet.panels]
    >>> len(sheet.figure.axes)
    2
    """

    def __init__(
        self,
        style: Style,
        panels: int,
        *,
        title: str,
        note: Sequence[str],
        sharex: bool = True,
        sharey: bool = True,
        height: float = 1.0,
        whole: bool = True,
    ) -> None:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.style, self.title, self.note, self.whole = style, title, note, whole
        self._context = contextlib.ExitStack()
        self._context.enter_context(rc_context(_settings(style)))
        across = min(panels, style.columns if panels != 4 else 2, style.columns)
        down = -(-panels // across)
        size = (max(style.panel * across, style.least), style.height * height * down)
        self.figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(self.figure)
        grid = self.figure.subplots(down, across, sharex=sharex, sharey=sharey, squeeze=False)
        self.panels: list[Axes] = list(grid.ravel()[:panels])
        for spare in grid.ravel()[panels:]:
            spare.set_visible(False)
        if panels % across and sharex:  # the panel above an empty place has the numbers of that column
            for axes in grid.ravel()[panels - across : (down - 1) * across]:
                axes.tick_params(labelbottom=True)
        self.left = [axes for axes in grid[:, 0] if axes in self.panels]
        self.bottom = self.panels[-across:]
        self.handles: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._context.close()

    def labels(self, x: str, y: str) -> None:
        """Name the axes once: below the lowest panels, beside the leftmost."""
        for axes in self.bottom:
            axes.set_xlabel(x)
        for axes in self.left:
            axes.set_ylabel(y)

    def legend(self, label: str, handle: Any) -> None:
        """Put a line of its own into the legend."""
        self.handles.setdefault(label, handle)

    def steps(self, steps: Sequence[int], label: str = "training step") -> Any:
        """A scale of colours for training steps beside the panels; returns the function from a step to its colour."""
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize
        from matplotlib.ticker import MaxNLocator

        norm = Normalize(min(steps), max(max(steps), min(steps) + 1))
        colours = ListedColormap(colormaps[STEPS](np.linspace(0, 0.93, 256)))
        scale = ScalarMappable(norm, colours)
        bar = self.figure.colorbar(scale, ax=self.panels, pad=0.015, aspect=32, fraction=0.05)
        bar.set_label(label)
        bar.locator = MaxNLocator(8, integer=True)
        bar.outline.set_visible(False)
        return scale.to_rgba

    def _finish(self) -> None:
        """Measure title, legend and note, make room for them, and put them there."""
        from matplotlib.ticker import MaxNLocator

        for axes in self.panels:
            if self.whole and axes.get_xscale() == "linear":
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            if axes.get_yscale() == "log":
                _plain_numbers(axes)
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                self.handles.setdefault(label, handle)
        figure, font = self.figure, self.style.font
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        width, height = figure.get_size_inches()
        margin = 0.06
        room = 0.95 * (width - 2 * margin) * figure.dpi  # letters of other formats are a little wider
        title = "\n".join(_wrapped(self.title, font * 1.2, room, renderer))
        note = "\n".join(line for text in self.note for line in _wrapped(text, font * 0.78, room, renderer))
        head = figure.text(margin / width, 1, title, va="top", fontsize=font * 1.2, color=INK)
        foot = figure.text(margin / width, 0, note, va="bottom", fontsize=font * 0.78, color=QUIET, linespacing=1.3)
        above = head.get_window_extent(renderer).height / figure.dpi + 0.08
        below = foot.get_window_extent(renderer).height / figure.dpi + 0.12
        legend = None
        if self.handles:
            wanted = len(self.handles)
            for rows in range(1, wanted + 1):
                if legend is not None:
                    legend.remove()
                legend = figure.legend(
                    self.handles.values(), self.handles.keys(), loc="upper left", ncols=-(-wanted // rows),
                    frameon=False, borderaxespad=0, borderpad=0.1, columnspacing=1.6, handlelength=2.6,
                )  # fmt: skip
                if legend.get_window_extent(renderer).width <= room:
                    break
        between = 0 if legend is None else legend.get_window_extent(renderer).height / figure.dpi + 0.06
        total = height + above + between + below
        figure.set_size_inches(width, total)
        head.set_y(1 - 0.05 / total)
        foot.set_y(0.05 / total)
        if legend is not None:
            legend.set_bbox_to_anchor((margin / width, 1 - (above + 0.02) / total), figure.transFigure)
        engine: Any = figure.get_layout_engine()
        engine.set(rect=(0, below / total, 1, 1 - (above + between + below) / total), w_pad=0.05, h_pad=0.05)


def _plain_numbers(axes: Axes) -> None:
    """On a logarithmic axis of less than two decades write 0.2 and 0.5 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = axes.get_ylim()
    if 0 < low < high < 100 * low:
        wide = high > 6 * low
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20) if wide else MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _wrapped(text: str, size: float, room: float, renderer: Any) -> list[str]:
    """The lines of a text that are no wider than `room` pixels."""
    from matplotlib.font_manager import FontProperties

    font, lines = FontProperties(size=size), [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if renderer.get_text_width_height_descent(longer, font, False)[0] <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _settings(style: Style) -> Any:
    small = style.font * 0.88
    thin = 0.5 * style.line
    return {
        "font.size": style.font, "axes.titlesize": style.font, "axes.labelsize": style.font,
        "axes.titlelocation": "left", "axes.titlecolor": INK, "axes.labelcolor": INK, "text.color": INK,
        "axes.edgecolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET, "xtick.labelsize": small,
        "ytick.labelsize": small, "legend.fontsize": small, "lines.linewidth": style.line,
        "lines.markersize": 3.2 * style.line, "axes.linewidth": thin, "grid.linewidth": thin,
        "xtick.major.width": thin, "ytick.major.width": thin, "xtick.minor.width": 0.7 * thin,
        "ytick.minor.width": 0.7 * thin, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.color": GRID, "axes.axisbelow": True, "axes.titlepad": 4.0, "axes.labelpad": 3.0,
        "axes.prop_cycle": _cycle(),
    }  # fmt: skip


def _cycle() -> Any:
    from cycler import cycler

    return cycler(color=COLOURS)
