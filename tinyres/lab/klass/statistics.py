"""What a class did: pass rates by case, causes by how many made the mistake, and what a teacher should look at."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tinyres.lab import alike, start
from tinyres.lab.results import Report, TaskResult
from tinyres.lab.task import Lab

HOSTILE = {"timeout", "memory", "died", "refused", "fence", "printed"}  # problems that are more than a wrong line
OWN = {"error", "contract"}  # problems of the student's own lines
REFUSED = "not graded"
OUTCOMES = ("right", "named mistake", "wrong otherwise", "error", "contained", "not written", REFUSED)
QUOTED = re.compile(r"^[^`]*, line \d+, `.*?`: ", re.DOTALL)  # "conv.py, line 33, `y = x @ w`: ValueError: ..."
NUMBER = re.compile(r"\d+")
COPIED = 0.5  # of the solution's lines, from which on a teacher is told


@dataclass(frozen=True)
class Rate:
    """How many passed a case; `seen` of them had it run."""

    name: str
    hidden: bool
    passed: int
    seen: int


@dataclass(frozen=True)
class TaskRates:
    """One task over a class: mean share of its points, cases in order, speed-ups of those who were right."""

    key: str
    title: str
    possible: float
    share: float
    full: int
    rates: tuple[Rate, ...]
    speedups: tuple[float, ...]


@dataclass(frozen=True)
class Mistake:
    """A cause: the tasks that it spoiled, one sentence, in whose submissions, and whether it is a recipe's."""

    tasks: tuple[str, ...]
    sentence: str
    names: tuple[str, ...]
    named: bool


@dataclass(frozen=True)
class Notice:
    """Something about one submission that a teacher should see."""

    name: str
    said: str


def rates(lab: Lab, reports: Sequence[Report]) -> list[TaskRates]:
    """Each task's pass rates. Cases are told apart by their place: their names may hold what a seed has drawn."""
    found = []
    for task in lab.tasks:
        results = [result for report in reports for result in report.tasks if result.key == task.key]
        possible = _possible(task.points, results)
        shares = [result.points / possible if possible else 0.0 for result in results]
        found.append(
            TaskRates(
                task.key,
                task.title,
                possible,
                sum(shares) / len(reports) if reports else 0.0,
                sum(share > 1 - 1e-9 for share in shares),
                tuple(_cases(results)),
                tuple(sorted(result.speed.ratio for result in results if result.speed and result.speed.ratio > 0)),
            )
        )
    return found


def outcomes(lab: Lab, reports: Sequence[Report]) -> dict[str, Counter[str]]:
    """For each task, how many submissions came to which end, out of OUTCOMES."""
    found = {}
    for task in lab.tasks:
        results = {report.submission: next((t for t in report.tasks if t.key == task.key), None) for report in reports}
        refused = {report.submission for report in reports if report.refused}
        found[task.key] = Counter(
            REFUSED if name in refused or result is None else _outcome(result) for name, result in results.items()
        )
    return found


def mistakes(lab: Lab, reports: Sequence[Report]) -> list[Mistake]:
    """Mistakes that have a name, what is peculiar about other differences, and errors; the most frequent first.

    Each counts once a submission, however many cases and tasks it spoiled: one task may stand on another.
    """
    said: dict[str, tuple[bool, str]] = {}
    who: dict[str, set[str]] = {}
    where: dict[str, set[str]] = {}
    for report in reports:
        for task in report.tasks:
            for case in task.cases:
                sentence = case.cause or (_general(case.problem) if case.kind in OWN else "")
                if sentence and not case.passed:
                    key = NUMBER.sub("#", sentence)
                    said.setdefault(key, (bool(case.recipes), sentence if case.recipes else key))
                    who.setdefault(key, set()).add(report.submission)
                    where.setdefault(key, set()).add(task.key)
    found = [
        Mistake(tuple(task.key for task in lab.tasks if task.key in where[key]), text, tuple(sorted(who[key])), named)
        for key, (named, text) in said.items()
    ]
    return sorted(found, key=lambda mistake: (-len(mistake.names), not mistake.named, mistake.sentence))


def notices(reports: Sequence[Report]) -> list[Notice]:
    """What was refused, slow, hostile or odd, submission by submission."""
    found = []
    for report in reports:
        if report.refused:
            found.append(Notice(report.submission, f"earns nothing: {report.refused}"))
        problems: dict[str, list[str]] = {}  # -> the tasks in which it was met
        for task in report.tasks:
            for problem in {case.problem: None for case in task.cases if case.kind in HOSTILE}:
                problems.setdefault(problem, []).append(task.key)
        for problem, keys in problems.items():
            if problem not in report.refused:
                found.append(Notice(report.submission, f"{', '.join(keys)}: {problem}"))
        found += [Notice(report.submission, note) for note in report.notes]
    return found


def copies(lab: Lab, reports: Sequence[Report]) -> list[Notice]:
    """Who shares with the library, and who with whom."""
    found = []
    for report in reports:
        files = {file: (equal, total) for file, (equal, total) in sorted(_table(report, "copied").items()) if equal}
        equal, total = (sum(counts[k] for counts in _table(report, "copied").values()) for k in (0, 1))
        if total and equal >= COPIED * total:
            each = ", ".join(f"{one} of {of} in {file}" for file, (one, of) in files.items())
            said = f"lines of the library's solution stand in it word for word: {each}"
            found.append(Notice(report.submission, said))
    known = {report.submission: _table(report, "prints") for report in reports}
    known[alike.LIBRARY] = alike.prints(lab, start.solutions(lab))
    for function, names in alike.groups(known):
        found.append(Notice(", ".join(names), f"{function} is the same but for names and comments"))
    return found


def spread(reports: Sequence[Report]) -> tuple[float, float]:
    """Median and mean of the points."""
    points = [report.points for report in reports] or [0.0]
    return statistics.median(points), statistics.fmean(points)


def _possible(points: float, results: Sequence[TaskResult]) -> float:
    return points + max((result.speed.possible for result in results if result.speed), default=0.0)


def _cases(results: Sequence[TaskResult]) -> Iterator[Rate]:
    for hidden in (False, True):
        rows = [[case for case in result.cases if case.hidden is hidden] for result in results]
        for k in range(max(map(len, rows), default=0)):
            column = [row[k] for row in rows if k < len(row)]
            names = {case.name for case in column}
            name = names.pop() if len(names) == 1 else f"case {k + 1}"
            yield Rate(name, hidden, sum(case.passed for case in column), len(column))


def _outcome(task: TaskResult) -> str:
    kinds = {case.kind for case in task.cases if not case.passed}
    if not task.cases or kinds == {"stopped"}:
        return REFUSED
    if not any(not case.passed for case in task.cases):
        return "right"
    if "missing" in kinds:
        return "not written"
    if any(case.recipes for case in task.cases):
        return "named mistake"
    if kinds & HOSTILE:
        return "contained"
    return "error" if kinds & OWN else "wrong otherwise"


def _general(problem: str) -> str:
    """An error without the student's own line and numbers, so that one is like another."""
    return NUMBER.sub("#", QUOTED.sub("", problem)).strip()


def _table(report: Report, name: str) -> dict[str, Any]:  # of `extra`, which came out of a file
    said = report.extra.get(name)
    return said if isinstance(said, dict) else {}
