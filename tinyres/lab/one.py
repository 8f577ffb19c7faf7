"""One submission: unpacked into a clean folder, checked within a limit of time, its report written after every task.

    python -P -m tinyres.lab.one < request.json        # what `tinyres lab grade` starts, once a submission

Whatever a submission does, a report comes of it: what cannot be opened earns nothing and says why, what takes too long
keeps the points it has, and a fault of ours is noted for the teacher.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from tinyres.errors import LabError
from tinyres.lab import alike, catalogue, processes, stored
from tinyres.lab.check import cases_of, check
from tinyres.lab.gather import Submission
from tinyres.lab.results import CaseResult, Report, SpeedResult, TaskResult
from tinyres.lab.task import Lab, Task
from tinyres.lab.unpack import unpack
from tinyres.train.start import versions

DONE = "done"  # in `Report.extra`: nothing is left to grade
BROKEN = "broken"  # there too: why grading could not be finished; it is tried again


class _TimeIsUp(BaseException):  # passes through whatever catches an Exception
    pass


@dataclass
class _Progress:
    """The report as it grows: each change is saved."""

    report: Report
    save: Callable[[Report], None]
    tasks: list[TaskResult] = field(default_factory=list)
    begin: float = field(default_factory=time.perf_counter)

    def add(self, task: TaskResult) -> None:
        self.tasks.append(task)
        self.put(tasks=tuple(self.tasks))

    def put(self, **changes: object) -> None:
        seconds = round(time.perf_counter() - self.begin, 3)
        self.report = replace(self.report, seconds=seconds, **changes)  # type: ignore[arg-type]
        self.save(self.report)

    def finish(self, lab: Lab, why: str, timed: bool) -> None:
        known = {task.key for task in self.tasks}
        rest = [unrun(task, self.report.seed, why, timed) for task in lab.tasks if task.key not in known]
        self.put(tasks=(*self.tasks, *rest))

    def note(self, *notes: str, **extra: object) -> None:
        self.put(notes=(*self.report.notes, *notes), extra={**self.report.extra, **extra})


def grade_one(
    lab: Lab,
    submission: Submission,
    *,
    seed: int,
    limit: float,
    save: Callable[[Report], None] = lambda report: None,
    timed: bool = True,
) -> Report:
    """Grade a submission, hidden cases and speed included.

    Parameters
    ----------
    lab : Lab
    submission : Submission
    seed : int
        Of the cases.
    limit : float
        Seconds for all tasks together; those that are not reached earn nothing.
    save : callable
        Called with the report as far as it is, after every task and at the end.
    timed : bool
        Measure speed too.

    Returns
    -------
    Report
        Its `extra` holds `done`, lines equal to the library's (`copied`) and prints of functions (`prints`).
    """
    possible = lab.points if timed else sum(task.points for task in lab.tasks)
    empty = Report(lab.id, submission.name, seed, possible=possible, version=versions()["tinyres"])
    progress = _Progress(empty, save)
    with tempfile.TemporaryDirectory(prefix="tinyres-lab-", ignore_cleanup_errors=True) as name:
        try:
            progress.note(*unpack(submission, [source.file for source in lab.sources], Path(name)))
            texts = alike.texts(lab, Path(name))
            progress.note(copied=alike.copied(lab, texts), prints=alike.prints(lab, texts))
            with _within(limit):
                whole = check(lab, Path(name), seed=seed, hidden=True, timed=timed, on_task=progress.add)
            progress.tasks = list(whole.tasks)
            progress.put(tasks=whole.tasks, refused=whole.refused, printed=whole.printed)
            progress.note(*whole.notes, **{**whole.extra, DONE: True})
        except LabError as error:
            progress.put(refused=str(error))
            progress.note(**{DONE: True})
        except _TimeIsUp:
            stopped = f"all tasks together took longer than {limit:.0f} s, and grading stopped"
            progress.finish(lab, stopped, timed)
            progress.note(f"{stopped} after {len(progress.tasks)} of {len(lab.tasks)} tasks", **{DONE: True})
        except Exception as error:
            said = f"grading broke off, which is a fault of tinyres: {type(error).__name__}: {error}"
            progress.finish(lab, said, timed)
            progress.note(said, **{BROKEN: said})
    return progress.report


def main() -> int:
    """Grade what standard input asks for, as a parent of all that the submission starts; leave no process behind."""
    said = json.load(sys.stdin)
    record = Path(said["record"])
    lab = catalogue.lab(said["lab"])
    submission = Submission(said["name"], tuple(Path(source) for source in said["sources"]))

    def save(report: Report) -> None:
        stored.write(replace(report, extra={**report.extra, "digest": said["digest"]}), record)

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # folders of ours are removed
    with processes.contained():
        report = grade_one(lab, submission, seed=said["seed"], limit=said["limit"], timed=said["timed"], save=save)
    return 1 if BROKEN in report.extra else 0


def unrun(task: Task, seed: int, why: str, timed: bool = True) -> TaskResult:
    """A task that was not run: all of its cases, and nothing earned."""
    cases = [
        CaseResult(case.name, False, case.hidden, problem=f"not run: {why}", kind="stopped")
        for case in cases_of(task, seed, hidden=True)
    ]
    speed = task.checks.speed if timed else None
    result = SpeedResult(0.0, 0.0, speed.points, "not run") if speed else None
    return TaskResult(task.key, task.title, task.points, tuple(cases), speed=result, stopped=why)


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise _TimeIsUp in the main thread after so many seconds, where the system can."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    sys.exit(main())
