"""Subcommands of `tinyres lab` with which a student begins and gets on: list, start, hint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

if TYPE_CHECKING:
    from tinyres.lab.progress import Lock


@dataclass(frozen=True)
class List:
    """The labs: minutes, points, tasks, and how far the ones begun in this folder are."""

    dir: Path = Path(".")
    """Where your lab folders lie."""

    def run(self) -> int:
        """Print a line a lab and a task."""
        from tinyres.lab import catalogue, progress

        begun = progress.started(self.dir)
        for lab in catalogue.labs():
            lock = begun.get(lab.id)
            mark = _mark(lock) if lock else ""
            print(f"{lab.id:<26}{lab.title:<46}{lab.minutes:>4} min {lab.points:>5g} points  {mark}".rstrip())
            for task in lab.tasks:
                print(f"    {task.key:<26}{task.title:<62}  {_best(lock, task.key)}".rstrip())
        print("\n`tinyres lab start LAB` begins one, in a folder of its own.")
        return 0


@dataclass(frozen=True)
class Start:
    """Begin a lab: write its folder, labNN, with files to fill in and a README."""

    lab: Annotated[str, Positional]
    """Its id, or just its number."""
    dir: Path = Path(".")
    """Where the folder will lie."""

    def run(self) -> int:
        """Write the folder and say what to do."""
        from tinyres.lab import catalogue
        from tinyres.lab.start import start

        lab = catalogue.lab(self.lab)
        folder = start(lab, self.dir)
        names = ", ".join(source.file for source in lab.sources)
        print(f"{folder}: {lab.title}, about {lab.minutes} minutes, {lab.points:g} points")
        print(f"read {folder / 'README.md'}, write in {names}, and try it out: cd {folder} && tinyres lab check")
        return 0


@dataclass(frozen=True)
class Hint:
    """The next hint for a task: at most three, from a nudge to nearly there. They cost nothing."""

    task: Annotated[str, Positional]
    """Such as conv.forward."""
    lab: Path = Path(".")
    """The folder of the lab."""
    again: bool = False
    """Show the hints that were given already, and no new one."""

    def run(self) -> int:
        """Print the hint, and count it in the lock."""
        from tinyres.errors import LabError, nearest
        from tinyres.lab import hints, progress

        lab, lock, folder = progress.find(self.lab)
        known = hints.read(lab)
        if self.task not in known:
            raise LabError(f"there is no task {self.task!r} in {lab.id}{nearest(self.task, known)}.")
        given, all_of_them = lock.hints.get(self.task, 0), known[self.task]
        if self.again:
            for number, text in enumerate(all_of_them[:given], 1):
                print(f"{number}. {text}")
            print("" if given else f"no hint was given yet; `tinyres lab hint {self.task}` gives the first.")
            return 0
        if given >= len(all_of_them):
            print(f"those were all {len(all_of_them)} hints for {self.task}; --again shows them.")
            return 0
        print(f"hint {given + 1} of {len(all_of_them)} for {self.task}\n\n{all_of_them[given]}")
        lock.hinted(self.task, given + 1).save(folder)
        return 0


def _best(lock: Lock | None, key: str) -> str:
    return f"{lock.points[key]:g} of {lock.possible[key]:g}" if lock and key in lock.points else ""


def _mark(lock: Lock) -> str:
    reached, possible = sum(lock.points.values()), sum(lock.possible.values())
    if not possible:
        return "begun"
    return f"{reached:g} of {possible:g} in public checks" + (", done" if reached == possible else "")
