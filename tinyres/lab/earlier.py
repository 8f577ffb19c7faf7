"""A student's earlier labs in the place of the library: what `--mine` uses."""

from __future__ import annotations

from pathlib import Path

from tinyres.errors import LabError
from tinyres.lab import catalogue, progress
from tinyres.lab.task import Lab


def files(lab: Lab, folder: Path) -> dict[str, Path]:
    """The files of earlier labs in the folders beside that of a lab, by the module that they stand for.

    Parameters
    ----------
    lab : Lab
    folder : Path
        Where the student works on it.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    LabError
        There is no earlier lab beside it.
    """
    found: dict[str, Path] = {}
    for other in progress.beside(folder.resolve().parent):
        earlier = catalogue.lab(progress.read(other).lab)
        if earlier.id < lab.id:
            there = {source.module: other / source.file for source in earlier.sources}
            found.update({module: file for module, file in there.items() if file.is_file()})
    if not found:
        raise LabError(
            f"beside {folder} lies no folder of a lab before {lab.id}; without --mine the library does what they do."
        )
    return found
