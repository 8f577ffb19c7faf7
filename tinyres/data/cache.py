"""Where fetched archives and decoded images are kept, and how arrays are written there: whole or not at all."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.machine import cache_folder as cache_folder


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays to an .npz file; it appears under its name only when it is complete.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    **arrays : ndarray
        Plain arrays (no objects, hence no pickle).

    Raises
    ------
    OSError
        No right or no space to write there; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the names for its option
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Read what `save_arrays` wrote: the arrays by name, or None if the file is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile):
        return None
