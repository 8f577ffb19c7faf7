"""`lab.lock`: which lab a folder holds, of which version, and how far its owner is.

The file is for the student's own eyes and for `tinyres lab list`; nothing in it counts when work is graded.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tinyres.errors import LabError
from tinyres.lab import catalogue
from tinyres.lab.results import Report
from tinyres.lab.task import Lab
from tinyres.train.folder import write_atomically
from tinyres.train.start import versions

LOCK = "lab.lock"
NAME = re.compile(r"lab\d\d")  # as `start` calls a folder


@dataclass(frozen=True)
class Lock:
    """The content of a lab.lock: lab, version, the stubs' SHA-256 by file, hints taken and best points by task."""

    lab: str
    tinyres: str
    stubs: dict[str, str]
    hints: dict[str, int] = field(default_factory=dict)
    points: dict[str, float] = field(default_factory=dict)
    possible: dict[str, float] = field(default_factory=dict)  # of the public checks

    def text(self) -> str:
        """As it stands in the file."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_atomically(folder / LOCK, self.text().encode())

    def hinted(self, key: str, count: int) -> Lock:
        """The same, with so many hints taken for a task."""
        return replace(self, hints={**self.hints, key: count})

    def checked(self, report: Report) -> Lock:
        """The same after a check: the best that each task ever reached."""
        best, possible = dict(self.points), dict(self.possible)
        for task in report.tasks:
            best[task.key] = max(best.get(task.key, 0.0), task.points if not report.refused else 0.0)
            reachable = task.possible + (task.speed.possible if task.speed else 0.0)
            possible[task.key] = max(possible.get(task.key, 0.0), reachable)  # a check after `time` has none for speed
        return replace(self, points=best, possible=possible)


def fresh(lab: Lab, stubs: dict[str, str]) -> Lock:
    """The lock of a folder that is just being made, with these stubs."""
    return Lock(lab.id, versions()["tinyres"], hashes(stubs))


def hashes(stubs: dict[str, str]) -> dict[str, str]:
    """SHA-256 of each file."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in stubs.items()}


def read(folder: Path) -> Lock:
    """The lock of a folder.

    Raises
    ------
    LabError
        There is none, or it is damaged.
    """
    path = folder / LOCK
    if not path.is_file():
        raise LabError(f"{folder} holds no lab: it has no {LOCK}; `tinyres lab start LAB` makes a folder with one.")
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lock = Lock(**said)
        catalogue.lab(str(lock.lab))
        if not isinstance(lock.lab, str) or not all(
            isinstance(part, dict) for part in (lock.stubs, lock.hints, lock.points, lock.possible)
        ):
            raise TypeError("an entry has the wrong type")
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        raise LabError(
            f"{path} cannot be read ({error}); copy your files elsewhere, start the lab again and put them back."
        ) from None
    return lock


def find(folder: Path) -> tuple[Lab, Lock, Path]:
    """The lab that a folder belongs to, its lock, and the folder itself: the given one, or one above it.

    Raises
    ------
    LabError
        None of them holds a lab.
    """
    here = folder.resolve()
    for candidate in (here, *here.parents):
        if (candidate / LOCK).is_file():
            lock = read(candidate)
            return catalogue.lab(lock.lab), lock, candidate
    inside = sorted(path.parent.name for path in here.glob(f"*/{LOCK}"))
    advice = (
        f"go into {' or '.join(inside)}"
        if inside
        else "`tinyres lab start LAB` makes one (with --dir ELSEWHERE if only that file is lost: take it from there)"
    )
    raise LabError(f"{folder} is not the folder of a lab ({LOCK} is missing); {advice}.")


def beside(parent: Path) -> list[Path]:
    """The folders of labs right under `parent`; a copy such as lab02-old comes before what `start` has made."""
    found = (path.parent for path in parent.glob(f"*/{LOCK}"))
    return sorted(found, key=lambda folder: (bool(NAME.fullmatch(folder.name)), folder))


def started(parent: Path) -> dict[str, Lock]:
    """The labs begun in the folders right under `parent`, by id."""
    found = {}
    for folder in beside(parent):
        try:
            lock = read(folder)
        except LabError:
            continue  # somebody's damaged folder does not stop a list
        found[lock.lab] = lock
    return found
