"""Write a figure: PNG and SVG, in paper style PDF as well, and beside them the very numbers drawn, as CSV.

Each file is there whole or not at all, and the same figure gives the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyres.errors import ConfigError
from tinyres.flow.figures.style import SCREEN, Drawing, Style
from tinyres.train.folder import reason, write_atomically

DPI = {"screen": 150, "paper": 300}
UNDATED: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save(drawing: Drawing, folder: Path, name: str, style: Style = SCREEN) -> list[Path]:
    """Write a drawing into a folder, which is made if need be.

    Parameters
    ----------
    drawing : Drawing
    folder : Path
    name : str
        Of the files, without ending.
    style : Style
        The one it was drawn in: it says which formats.

    Returns
    -------
    list of Path
        The files written, the table last.

    Raises
    ------
    ConfigError
        A folder that cannot be made.
    """
    from matplotlib import rc_context

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {reason(error)}; choose another with --out.") from None
    files = []
    for form in style.formats:
        picture = io.BytesIO()
        with rc_context({"svg.hashsalt": "tinyres", "pdf.fonttype": 42}):
            drawing.figure.savefig(picture, format=form, dpi=DPI[style.name], metadata=UNDATED[form])
        files.append(folder / f"{name}.{form}")
        write_atomically(files[-1], picture.getvalue())
    files.append(folder / f"{name}.csv")
    write_atomically(files[-1], as_csv(drawing.table))
    return files


def as_csv(table: Mapping[str, Sequence[Any]]) -> bytes:
    """Columns as CSV with a line of names; numbers with all their digits, NaN as `nan`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return text.getvalue().encode()
