"""Who handed in what: from folders, zips and the downloads of learning platforms to a list of submissions.

A submission is a folder, a zip, or loose files that a platform has renamed after their owner. What is inside is looked
at by `tinyres.lab.unpack`, in the process that grades it: here only names count, so that no damaged or hostile file
stops the others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyres.errors import LabError
from tinyres.lab.progress import LOCK

# Canvas: lovelaceada_LATE_1234_56789_conv-1.py; Moodle: "Ada Lovelace_1234_assignsubmission_file_" (+ name of a file)
CANVAS = re.compile(r"(?P<who>[^_]+)_(?:late_)?(?P<user>\d+)_\d+_(?P<file>.+)", re.IGNORECASE)
MOODLE = re.compile(r"(?P<who>.+?)_(?P<user>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)", re.IGNORECASE)
FOREIGN = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zipx")  # archives that are not opened
STARTED = re.compile(r"lab\d\d", re.IGNORECASE)  # the folder that `tinyres lab start` makes


@dataclass(frozen=True)
class Submission:
    """What one person, or one group, handed in; `name` is unique within a class and good as a file's name."""

    name: str
    sources: tuple[Path, ...]


def gather(
    targets: Sequence[Path], wanted: Collection[str], out: Path | None = None
) -> tuple[list[Submission], list[str]]:
    """The submissions in folders and zips, and notes on what was left aside.

    Parameters
    ----------
    targets : sequence of Path
        Each a submission, or a folder of submissions.
    wanted : collection of str
        The names of the labs' files, by which a submission is told from a folder of submissions.
    out : Path, optional
        The folder of the results: no submission, wherever it lies.

    Raises
    ------
    LabError
        A target does not exist or holds nothing.
    """
    found: dict[str, list[Path]] = {}
    notes: list[str] = []
    for target in targets:
        if not target.exists():
            raise LabError(f"there is no {target}; name folders or zips of what was handed in.")
        if target.is_dir() and not _is_one(target, wanted):
            members = [path for path in _members(target, notes) if out is None or path.resolve() != out.resolve()]
            if not members:
                raise LabError(f"{target} holds no submission: neither a folder nor a zip nor a Python file is in it.")
        else:
            members = [target]
        for member in members:
            name, shared = _owner(member)
            taken = {other.casefold() for other in found}  # two files on every system
            if name.casefold() in taken and not (shared and name in found):
                name = next(f"{name}-{k}" for k in range(2, len(found) + 3) if f"{name}-{k}".casefold() not in taken)
            found.setdefault(name, []).append(member)
    return [Submission(name, tuple(found[name])) for name in sorted(found, key=str.casefold)], notes


def file_of(path: Path) -> str:
    """The name that a file had before a platform put its owner's in front."""
    match = CANVAS.fullmatch(path.name) or MOODLE.fullmatch(path.name)
    return (match["file"] if match else "") or path.name


def _is_one(folder: Path, wanted: Collection[str]) -> bool:
    """Whether a folder is one submission: it has files of a lab, at its top or in the folder that a lab starts in."""

    def direct(path: Path) -> bool:
        return any((path / name).is_file() for name in (*wanted, LOCK))

    children = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    several = sum(direct(path) for path in children) + sum(path.suffix.lower() == ".zip" for path in folder.iterdir())
    if direct(folder):
        return several < 2
    return len(children) == 1 and several == 1 and bool(STARTED.fullmatch(children[0].name))


def _members(folder: Path, notes: list[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if path.is_symlink():
            notes.append(f"{path.name} is a link, and was left aside")
        elif path.is_dir() or path.suffix.lower() in (".zip", ".py", *FOREIGN):
            yield path
        else:
            notes.append(f"{path.name} is neither a folder nor a zip, and was left aside")


def _owner(path: Path) -> tuple[str, bool]:
    """Whose it is, and whether other files of that name are the same person's."""
    plain = unicodedata.normalize("NFC", path.name if path.is_dir() else path.stem)
    match = CANVAS.fullmatch(plain) or MOODLE.fullmatch(plain)
    name = f"{match['who']}_{match['user']}" if match else plain
    return _safe(name), match is not None


def _safe(name: str) -> str:
    """Good as the name of a file on any system: letters of every script, and nothing a system or a table minds."""
    kept = "".join(c if c.isalnum() or c in " ._-+@'()," else "_" for c in name).strip(" .").lstrip("-+@' .")
    while len(kept.encode()) > 120:
        kept = kept[:-1]
    return kept or "unnamed"
