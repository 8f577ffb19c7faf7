"""Logs of experiments that take longer than a lesson: JSON under lessons/logs, written by lessons/experiments.

    {"made_by": the command, "date", "machine", "versions", "data", "seeds", ... the numbers}

A lesson that replays one reads it with `read_log`, wherever it runs: as a script, in the gallery, as a notebook.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tinyres import machine
from tinyres.errors import DataError, nearest
from tinyres.train.folder import write_atomically
from tinyres.train.start import versions

FOLDER = Path("lessons") / "logs"


def log_folder() -> Path:
    """The logs of the checkout that tinyres is imported from, else those at or above the current folder."""
    checkout = Path(__file__).resolve().parents[2] / FOLDER
    for folder in (checkout, *(parent / FOLDER for parent in (Path.cwd(), *Path.cwd().parents)), Path.cwd() / "logs"):
        if folder.is_dir():
            return folder
    return checkout


def read_log(name: str, folder: Path | None = None) -> dict[str, Any]:
    """Read what an experiment wrote.

    Parameters
    ----------
    name : str
        As in ``lessons/logs/NAME.json``.
    folder : Path, optional
        Another folder than `log_folder()`.

    Raises
    ------
    DataError
        There is no such log, or it is not JSON.
    """
    folder = log_folder() if folder is None else folder
    path = folder / f"{name}.json"
    try:
        log: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = sorted(each.stem for each in folder.glob("*.json"))
        raise DataError(
            f"there is no log {name!r} in {folder}{nearest(name, known)}; the logs come with the source of tinyres, "
            "so run the lesson there."
        ) from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); take the file from the source of tinyres again.") from None
    return log


def write_log(
    name: str,
    numbers: Mapping[str, Any],
    *,
    made_by: str,
    data: str,
    seeds: Sequence[int],
    folder: Path | None = None,
) -> Path:
    """Write what an experiment found, with what is needed to repeat it.

    Parameters
    ----------
    name : str
        The log becomes ``lessons/logs/NAME.json``.
    numbers : mapping
        Anything JSON can hold; NumPy's numbers and arrays are converted.
    made_by : str
        The one command that makes it again.
    data : str
        Data set and its split.
    seeds : sequence of int
    folder : Path, optional
        Another folder than `log_folder()`.

    Returns
    -------
    Path
    """
    folder = log_folder() if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    log = {
        "made_by": made_by,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": machine.processor(), "cores": machine.cores(), "system": platform.platform()},
        "versions": versions(),
        "data": data,
        "seeds": list(seeds),
        **numbers,
    }
    path = folder / f"{name}.json"
    write_atomically(path, (json.dumps(log, indent=1, default=_plain) + "\n").encode())
    return path


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
