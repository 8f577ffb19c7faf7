"""The files of one submission, taken out of a folder, a zip or loose files into a clean folder.

Nothing is unpacked at large: the few Python files that a lab asks for are found by name, read up to a limit, and
written under their own plain names. So it does not matter how large a zip says it is, where its names point to, or
what else lies in it. Links are never followed.
"""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tinyres.errors import LabError
from tinyres.lab.gather import FOREIGN, Submission, file_of
from tinyres.lab.progress import LOCK

MEMBERS, ZIP, FILE, TOTAL = 5000, 32 << 20, 1 << 20, 8 << 20  # entries; bytes of a zip, of a file, of all files
ASIDE = {"__MACOSX", "__pycache__", "venv", "env", "node_modules", "site-packages"}
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError, KeyError)
COPY = re.compile(r"(?P<stem>.+?)(?:[ _-]*\(\d+\)|[ _-]\d+| - copy| copy)(?P<end>\.py)", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """A file of a submission: where it lies in it, and how to read its first bytes."""

    path: PurePosixPath
    read: Callable[[int], bytes]


def unpack(submission: Submission, wanted: Sequence[str], into: Path) -> list[str]:
    """Write the submission's Python files into a folder.

    Parameters
    ----------
    submission : Submission
    wanted : sequence of str
        The names of the lab's files.
    into : Path
        A folder that is there and empty.

    Returns
    -------
    list of str
        Notes for the teacher: what was renamed, found elsewhere, or left aside.

    Raises
    ------
    LabError
        It cannot be opened, is too large, or has none of the files; the sentence is for the student.
    """
    notes: list[str] = []
    entries = _entries(submission, notes)
    chosen = _chosen(entries, wanted, notes)
    if not any(name in chosen for name in wanted):
        there = ", ".join(sorted({entry.path.name for entry in entries})[:8] + notes) or "nothing"
        raise LabError(f"none of {', '.join(wanted)} is in what was handed in (found: {there}).")
    total = 0
    for name, entry in chosen.items():
        if name not in wanted and name != LOCK and not name.removesuffix(".py").isidentifier():
            continue  # nobody can import it
        data = _bounded(entry)
        total += len(data)
        if total > TOTAL:
            raise LabError(f"the Python files are larger than {TOTAL >> 20} MB together; hand in the lab's files only.")
        (into / name).write_bytes(data)
    return notes


def lock_of(submission: Submission) -> bytes | None:
    """The text of the submission's lab.lock, if it has one that can be had; nothing is raised."""
    try:
        found = [entry for entry in _entries(submission, []) if entry.path.name == LOCK]
        return _bounded(min(found, key=lambda entry: len(entry.path.parts))) if found else None
    except LabError:
        return None


def _entries(submission: Submission, notes: list[str]) -> list[Entry]:
    entries: list[Entry] = []
    for source in submission.sources:
        if source.is_symlink():
            raise LabError(f"{source.name} is a link; hand in the files themselves.")
        if source.is_dir():
            entries += _of_folder(source, notes)
        elif source.suffix.lower() == ".zip":
            with_size = source.stat().st_size
            if with_size > ZIP:
                raise LabError(f"{source.name} has {with_size >> 20} MB; hand in the lab's files only.")
            entries += _of_zip(source.read_bytes(), source.name, notes)
        elif source.suffix.lower() in FOREIGN:
            raise LabError(f"{source.name} is no zip; pack the files as a zip and hand that in.")
        else:
            entries.append(_on_disk(source, PurePosixPath(file_of(source))))
    inner = [entry for entry in entries if entry.path.suffix.lower() == ".zip"]
    if inner and not any(entry.path.suffix == ".py" for entry in entries):  # a zip in a zip, once
        for entry in inner:
            entries += _of_zip(_bounded(entry, ZIP), entry.path.name, notes)
    return entries


def _of_folder(folder: Path, notes: list[str]) -> Iterator[Entry]:
    count = 0
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not _aside(name))
        for name in sorted(files):
            path = Path(root, name)
            count += 1
            if count > MEMBERS:
                raise LabError(f"more than {MEMBERS} files were handed in; hand in the lab's files only.")
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                notes.append(f"{name} is a link, and was not followed")
            elif stat.S_ISREG(mode) and not _aside(name):
                yield _on_disk(path, PurePosixPath(path.relative_to(folder).as_posix()))


def _on_disk(path: Path, name: PurePosixPath) -> Entry:
    def read(limit: int) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read(limit)
        except OSError as error:
            raise LabError(f"{name} cannot be read ({error.strerror or error}).") from None

    return Entry(name, read)


def _of_zip(data: bytes, name: str, notes: list[str]) -> list[Entry]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except DAMAGED as error:
        raise LabError(f"{name} is damaged or no zip ({error}); pack it again.") from None
    if len(members) > MEMBERS:
        raise LabError(f"{name} has {len(members)} entries; hand in the lab's files only.")
    entries = []
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if stat.S_ISLNK(member.external_attr >> 16):
            notes.append(f"{path.name} in {name} is a link, and was not followed")
        elif path.is_absolute() or ".." in path.parts or ":" in member.filename:
            notes.append(f"{member.filename!r} in {name} points outside, and was left aside")
        elif path.parts and not member.is_dir() and not any(_aside(part) for part in path.parts):
            entries.append(Entry(path, _in_zip(archive, member, name)))
    return entries


def _in_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        try:
            with archive.open(member) as file:
                return file.read(limit)
        except DAMAGED as error:
            raise LabError(f"{member.filename} in {name} cannot be read ({error}); pack it again.") from None

    return read


def _bounded(entry: Entry, limit: int = FILE) -> bytes:
    data = entry.read(limit + 1)
    if len(data) > limit:
        raise LabError(f"{entry.path.name} is larger than {limit >> 20} MB; hand in the lab's files only.")
    return data


def _aside(name: str) -> bool:
    return name in ASIDE or name.startswith(".")


def _chosen(entries: Sequence[Entry], wanted: Sequence[str], notes: list[str]) -> dict[str, Entry]:
    """The Python files of the folder that has most of the lab's, and its missing ones from elsewhere."""
    folders: dict[PurePosixPath, dict[str, Entry]] = {}
    for entry in entries:
        if entry.path.name == LOCK or (entry.path.suffix.lower() == ".py" and len(entry.path.name) < 100):
            folders.setdefault(entry.path.parent, {})[entry.path.name] = entry
    if not folders:
        return {}
    plain = {folder: _plain(files, wanted) for folder, files in folders.items()}
    count = {folder: sum(name in files for name in wanted) for folder, files in plain.items()}
    best = min(folders, key=lambda folder: (-count[folder], len(folder.parts), str(folder)))
    chosen = dict(plain[best])
    twins = sorted(str(folder) for folder in folders if folder != best and count[folder] == count[best] > 0)
    if twins:
        notes.append(f"files of the lab lie in several folders: {best} was taken, not {', '.join(twins)}")
    for name in wanted:
        elsewhere = [files[name] for folder, files in sorted(plain.items()) if folder != best and name in files]
        if name not in chosen and elsewhere:
            chosen[name] = elsewhere[0]
            notes.append(f"{name} was taken from {elsewhere[0].path.parent}")
    notes += [f"{e.path.name} was taken for {name}" for name, e in chosen.items() if e.path.name != name]
    return chosen


def _plain(files: dict[str, Entry], wanted: Sequence[str]) -> dict[str, Entry]:
    """The files of one folder by the names they should have: `conv (1).py` and `Conv.py` stand in for `conv.py`."""
    plain = {name: entry for name, entry in files.items() if name in wanted or not COPY.fullmatch(name)}
    for name, entry in sorted(files.items()):
        match = COPY.fullmatch(name)
        stands_for = (match["stem"] + match["end"] if match else name).lower()
        meant = next((right for right in wanted if right.lower() == stands_for and right not in plain), None)
        if meant is not None:
            plain.pop(name, None)
            plain[meant] = entry
    return plain
