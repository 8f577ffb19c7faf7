"""Subcommands of `tinyres lab` that look at what a student wrote: check, time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from tinyres.errors import ConfigError

if TYPE_CHECKING:
    from tinyres.lab.results import Report, TaskResult

POLL = 0.3  # seconds between two looks at the files


@dataclass(frozen=True)
class _Options:
    """What check and time share."""

    tasks: Annotated[tuple[str, ...], Positional, arg(metavar="TASK ...")] = ()
    """Which tasks, such as conv.forward; all by default."""
    lab: Path = Path(".")
    """The folder of the lab, or one inside it."""
    seed: int | None = None
    """Of the cases; a new one each time by default. The same seed gives the same cases."""
    mine: FlagCreatePairsOff[bool] = False
    """Use what you wrote in earlier labs (the folders beside this one) instead of the library."""

    def fresh(self) -> int:
        """The seed given, or one that nobody knew; ConfigError for one that cannot be."""
        if self.seed is not None and self.seed < 0:
            raise ConfigError(f"--seed is {self.seed}; a number from 0 on is wanted.")
        return secrets.randbelow(2**31) if self.seed is None else self.seed

    def look(self, timed: bool) -> Report:
        """Check once, and say it task by task."""
        from tinyres.lab import check, earlier, progress, start, tell

        lab, lock, folder = progress.find(self.lab)
        seed = self.fresh()
        tasks = check.chosen(lab, self.tasks)
        others = earlier.files(lab, folder) if self.mine else None
        if said := start.outdated(lab, lock):
            print(f"note: {said}")
        print(tell.head(lab, seed), end="\n\n", flush=True)
        for module, path in (others or {}).items():
            print(f"{module} is your {path.parent.name}/{path.name}")

        def show(result: TaskResult) -> None:
            print(tell.task(lab, result, seed), end="\n\n", flush=True)

        report = check.check(lab, folder, seed=seed, keys=self.tasks, others=others, timed=timed, on_task=show)
        lock.checked(report).save(folder)
        hidden = {task.key: check.hidden_count(task, seed) for task in tasks}
        print(tell.foot(lab, report, hidden))
        return report


@dataclass(frozen=True)
class Check(_Options):
    """Check what you wrote, on fresh cases: the gap, the cause if it is a known mistake, how to run it again.

    Exit code 0: all public checks are passed; 1: they are not; 2: wrong usage.
    """

    watch: FlagCreatePairsOff[bool] = False
    """Check again whenever a file of the folder is saved; Ctrl-C ends it."""

    def run(self) -> int:
        """Check once, or again and again."""
        if not self.watch:
            return _code(self.look(timed=False))
        from tinyres.lab import progress

        folder = progress.find(self.lab)[2]
        watch(folder, lambda: _code(self.look(timed=False)))
        return 0


@dataclass(frozen=True)
class Time(_Options):
    """Measure the speed of tasks with points for it, as a ratio to the naive loops; only right results count."""

    def run(self) -> int:
        """Check, and time what is right."""
        from tinyres.lab import check, progress

        lab = progress.find(self.lab)[0]
        fast = [task.key for task in check.chosen(lab, self.tasks) if task.checks.speed]
        if not fast:
            every = [task.key for task in lab.tasks if task.checks.speed]
            where = f"those of this lab that have: {', '.join(every)}" if every else f"no task of {lab.id} has"
            raise ConfigError(f"no task asked for has points for speed; {where}.")
        return _code(Time(tuple(fast), self.lab, self.seed, self.mine).look(timed=True))


def _code(report: Report) -> int:
    """0 if every check is passed."""
    return int(bool(report.refused) or not all(case.passed for task in report.tasks for case in task.cases))


def watch(folder: Path, look: Callable[[], int], sleep: Callable[[float], None] = time.sleep) -> None:
    """Look at once, and again after every change of a Python file in a folder, until Ctrl-C.

    Parameters
    ----------
    folder : Path
    look : callable
        What to do.
    sleep : callable
        How to wait between two looks at the folder.
    """
    try:
        while True:
            before = _stamps(folder)
            look()
            print(f"\nwatching {folder} (Ctrl-C ends) ...", flush=True)
            while (now := _stamps(folder)) == before:
                sleep(POLL)
            changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
            print(f"\n--- {', '.join(changed)}, {time.strftime('%H:%M:%S')} ---\n", flush=True)
    except KeyboardInterrupt:
        print("\nno longer watching.")


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Time of change and size of each Python file; a file that an editor is just replacing may be missing."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        try:
            about = path.stat()
        except FileNotFoundError:
            continue
        found[path.name] = (about.st_mtime_ns, about.st_size)
    return found
