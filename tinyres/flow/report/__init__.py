"""One HTML page about recorded runs that opens without a network: a slider through training, layers to pick, overlays.

plotly.js, the numbers, style and script all stand in the file itself. Numbers keep five digits; at most 200 steps of
a run are kept, evenly spread, the first and the last among them.
"""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.errors import ConfigError
from tinyres.flow.figures.blocks import PARTS, RESPONSES
from tinyres.flow.figures.quantities import QUANTITIES, Quantity
from tinyres.flow.figures.runs import Run, note, runs_of, some
from tinyres.flow.figures.style import look
from tinyres.flow.record import AXES, Record
from tinyres.flow.trouble import first_trouble
from tinyres.train.folder import reason, write_atomically

STEPS = 200
BLOCKS = tuple(
    Quantity(name, title, array, label, text, log)
    for name, title, array, label, text, log in (
        ("branch-std", "Response strength of the branches", "branch_std", "std of the branch", RESPONSES, True),
        ("stream-std", "Response strength of the stream", "stream_std", "std of the sum", RESPONSES, True),
        ("split-shortcut", "Gradient through the shortcut", "split_shortcut_norm", "‖s‖", PARTS, True),
        ("split-branch", "Gradient through the branch", "split_branch_norm", "‖b‖", PARTS, True),
        ("split-cosine", "Cosine of shortcut and branch part", "split_cosine", "cos(s, b)", PARTS, False),
        ("split-error", "Error of the sum of the parts", "split_error", "relative error", PARTS, True),
    )
)
EVERYTHING = (*QUANTITIES.values(), *BLOCKS)
NAMES = {
    "TL": ("layer", "kind", "depth"),
    "TP": ("parameter", "parameter_layer", ""),
    "TB": ("block", "", "block_depth"),
}


def write_report(records: Sequence[Record], path: Path) -> Path:
    """Write the page.

    Parameters
    ----------
    records : sequence of Record
        One or more, overlaid in the page.
    path : Path
        Of the HTML file; its folder is made if need be.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        Without plotly, which comes with the extra `report`; without records; a folder that cannot be made.
    """
    text = page(records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the folder {path.parent}: {reason(error)}; choose another with --out."
        ) from None
    write_atomically(path, text.encode())
    return path


def page(records: Sequence[Record]) -> str:
    """The page as text; see `write_report`."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ConfigError(
            'the report needs plotly, which is not installed: python -m pip install "tinyres[report]" brings it.'
        ) from None
    runs = runs_of(records)
    shown = [_numbers(run) for run in runs]
    known = {name for run in shown for name in run["values"]}
    quantities = [dataclasses.asdict(each) for each in EVERYTHING if each.name in known]
    data = {"runs": shown, "quantities": quantities, "note": note(runs)}
    texts = {
        name: files(__package__).joinpath(name).read_text("utf-8") for name in ("page.html", "page.css", "page.js")
    }
    title = html.escape(f"Gradient flow: {', '.join(run.label for run in runs)}")
    parts = {
        "TITLE": title,
        "STYLE": texts["page.css"],
        "DATA": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        "PLOTLY": get_plotlyjs(),
        "SCRIPT": texts["page.js"],
    }
    head, *rest = texts["page.html"].split("{{")  # a template is cut before anything is put in: data may hold braces
    return head + "".join(parts[name] + tail for name, tail in (piece.split("}}", 1) for piece in rest))


def _numbers(run: Run[Record]) -> dict[str, Any]:
    """What the page holds of one run."""
    record = run.first
    rows = some(len(record.step), STEPS)
    values = {}
    for quantity in EVERYTHING:
        array: NDArray[Any] = getattr(record, quantity.array)
        if array.shape[1] and not np.isnan(array).all():
            values[quantity.name] = _rounded(array[rows])
    owner = record.parameter_layer
    outside = owner < 0
    kinds = np.where(outside, "", record.kind[owner]) if len(record.kind) else np.full(len(owner), "")
    depths = np.where(outside, 0, record.depth[owner]) if len(record.depth) else np.zeros(len(owner), int)
    return {
        "label": run.label,
        "family": run.family,
        "colour": look(run.place, run.family)["color"],
        "step": record.step[rows].tolist(),
        "loss": _rounded(record.loss[rows]),
        "TL": _places(record.layer, record.kind, record.depth),
        "TP": _places(record.parameter, kinds, depths),
        "TB": _places(record.block, np.full(len(record.block), "block"), record.block_depth),
        "values": values,
        "axes": {name: AXES[each.array] for name in values for each in EVERYTHING if each.name == name},
        "trouble": first_trouble(record),
        "meta": {name: value for name, value in record.meta.items() if isinstance(value, str | int | float | bool)},
    }


def _places(names: NDArray[Any], kinds: NDArray[Any], depths: NDArray[Any]) -> dict[str, list[Any]]:
    return {"name": names.tolist(), "kind": kinds.tolist(), "depth": depths.tolist()}


def _rounded(array: NDArray[Any]) -> list[Any]:
    """Nested lists of five digits; null for what is not finite, for which JSON has no word."""
    if array.ndim > 1:
        return [_rounded(row) for row in array]
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in array.tolist()]
