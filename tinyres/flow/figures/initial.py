"""Where gradients vanish or explode before any training: norm by depth over initial scale, batch norm and shortcuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.flow.figures.axes import band, line, reference
from tinyres.flow.figures.runs import Measured, note
from tinyres.flow.figures.runs import Run as Drawn
from tinyres.flow.figures.style import COLOURS, DASHES, SCREEN, Drawing, Sheet, Style

DEFINITION = (
    "Euclidean norm of the gradient of the loss along the stream of nets that are not trained: inputs and sums of "
    "blocks, outputs of layers in plain nets. Scale: what He's weights are multiplied with. Growth: the factor of the "
    "norm from a layer to the one before it, by a straight line through the logarithms; above 1 gradients explode "
    "toward the input."
)
SETTINGS = ((True, False), (True, True), (False, False), (False, True))  # batch norm, shortcut


def sweep(measured: Measured, *, style: Style = SCREEN) -> tuple[Drawing, Drawing]:
    """Draw the result of `measures.initial.initial_gradients`.

    Parameters
    ----------
    measured : Measured
        Its result is InitialGradients.
    style : Style

    Returns
    -------
    (Drawing, Drawing)
        The norms against depth, a panel for each kind of net; and the growth against the scale, all in one panel.
    """
    from matplotlib.lines import Line2D

    r = measured.result
    said = [DEFINITION, note([Drawn("", "", (measured,))])]
    scales = sorted(set(r.scale))
    every = {key: [scale for scale in scales if any(_chosen(r, key, scale))] for key in SETTINGS}
    groups = {key: own for key, own in every.items() if own}
    with Sheet(style, len(groups), title="Gradients before training", note=said) as sheet:
        inks = dict(zip(scales, _shades(len(scales)), strict=True))
        for axes, (key, own) in zip(sheet.panels, groups.items(), strict=True):
            axes.set_title(_words(*key))
            for scale in own:
                depth, norms = _norms(r, key, scale)
                line(sheet, axes, depth, np.median(norms, axis=0), color=inks[scale], ls=_dashes(key[1]))
                if len(norms) > 1:
                    band(axes, depth, norms.min(axis=0), norms.max(axis=0), inks[scale])
        for scale in scales:
            sheet.legend(f"scale {scale:g}", Line2D([], [], color=inks[scale]))
        sheet.labels("depth (weighted layers up to here)", "‖∂loss/∂h‖")
    norms_figure = Drawing(sheet.figure, r.table(), [])
    table: dict[str, list[Any]] = {"scale": [], "batch norm": [], "shortcut": [], "seed": [], "growth": []}
    for row in zip(r.scale, r.batch_norm, r.shortcut, r.seed, np.sqrt(r.growth).tolist(), strict=True):
        for column, value in zip(table.values(), row, strict=True):
            column.append(value)
    found = []
    with Sheet(style, 1, title="Growth of the gradient toward the input", note=said, whole=False) as sheet:
        (axes,) = sheet.panels
        for (norm, shortcut), own in groups.items():
            growth = [_growth(r, (norm, shortcut), scale) for scale in own]
            ink = COLOURS[0] if norm else COLOURS[1]
            middle = [float(np.median(each)) for each in growth]
            line(sheet, axes, own, middle, color=ink, ls=_dashes(shortcut), marker="o", label=_words(norm, shortcut))
            if max(map(len, growth)) > 1:
                band(axes, own, [each.min() for each in growth], [each.max() for each in growth], ink)
            nearest = int(np.argmin(np.abs(np.array(own) - 1)))
            words = f"{_words(norm, shortcut)}, scale {own[nearest]:g}"
            found.append(f"{words}: x {middle[nearest]:.3f} a layer toward the input")
        reference(axes, 1.0, "neither vanishing nor exploding")
        sheet.labels("initial scale, in units of He's", "growth of the norm a layer")
    return norms_figure, Drawing(sheet.figure, table, found)


def _norms(r: Any, key: tuple[bool, bool], scale: float) -> tuple[Any, Any]:
    """Depth [K] and norms [seeds, K] of one setting."""
    own = [run for run, chosen in zip(r.runs, _chosen(r, key, scale), strict=True) if chosen]
    return own[0].depth, np.stack([run.norm for run in own])


def _growth(r: Any, key: tuple[bool, bool], scale: float) -> Any:
    return np.sqrt(r.growth[_chosen(r, key, scale)])


def _chosen(r: Any, key: tuple[bool, bool], scale: float) -> list[bool]:
    return [(b, c, s) == (*key, scale) for s, b, c in zip(r.scale, r.batch_norm, r.shortcut, strict=True)]


def _words(norm: bool, shortcut: bool) -> str:
    return f"{'residual' if shortcut else 'plain'}, {'batch norm' if norm else 'no batch norm'}"


def _dashes(shortcut: bool) -> Any:
    return DASHES["residual" if shortcut else "plain"]


def _shades(count: int) -> Sequence[Any]:
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.9, count)))
