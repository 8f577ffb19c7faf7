"""Gradescope's results.json, as its autograder specification has it.

Public and hidden cases of a task are tests of their own: the hidden ones are shown once the grades are published, and
announced by their number before. There is no score of the whole: it would override the sum of the tests.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyres.lab import tell
from tinyres.lab.results import Report, TaskResult
from tinyres.lab.task import Lab
from tinyres.train.folder import write_atomically

LONGEST = 20_000  # characters of one output


def results(lab: Lab, report: Report, waiting: Sequence[TaskResult] = ()) -> dict[str, Any]:
    """The entries of results.json.

    Parameters
    ----------
    lab : Lab
    report : Report
        As far as the submission is graded.
    waiting : sequence of TaskResult
        The tasks that are not graded yet: they are there with no points, so that a run that is killed loses nothing.
    """
    tests: list[dict[str, Any]] = []
    for place, task in enumerate((*report.tasks, *waiting), 1):
        tests += _tests(lab, place, task, report)
    speeds = [task for task in report.tasks if task.speed]
    return {
        "execution_time": round(report.seconds, 1),
        "output": _overview(report, waiting),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
        "leaderboard": [
            {"name": f"{task.key}: times the naive loop", "value": _finite(task.speed.ratio), "order": "desc"}
            for task in speeds
            if task.speed
        ],
        "extra_data": {"lab": report.lab, "seed": report.seed, "tinyres": report.version, "notes": list(report.notes)},
    }


def write(entries: dict[str, Any], path: Path) -> None:
    """Write results.json, whole or not at all: whoever reads it, and whenever we are killed, finds valid JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(entries, indent=1, allow_nan=False) + "\n").encode())


def failure(said: str, possible: float) -> dict[str, Any]:
    """The entries where nothing could be graded at all: one test without points, and why."""
    test = {"name": "The submission", "score": 0.0, "max_score": possible, "status": "failed", "output": said}
    return {"output": said, "output_format": "text", "stdout_visibility": "hidden", "tests": [test]}


def _tests(lab: Lab, place: int, task: TaskResult, report: Report) -> list[dict[str, Any]]:
    found = []
    groups = [("", False, "visible"), (", hidden cases", True, "after_published")]
    for part, (name, hidden, visibility) in enumerate(groups, 1):
        cases = [case for case in task.cases if case.hidden is hidden]
        if cases:
            share = task.possible / len(task.cases)
            passed = 0 if report.refused else sum(case.passed for case in cases)
            found.append(
                _test(f"{place}.{part}", f"{task.key}{name}: {task.title}", share * passed, share * len(cases))
                | {"visibility": visibility, "output": _text(lab, task, report, hidden), "tags": [task.key]}
            )
    if task.speed:
        points = 0.0 if report.refused else task.speed.points
        said = task.speed.said or f"{task.speed.ratio:.1f} times the naive loop"
        found.append(
            _test(f"{place}.3", f"{task.key}, speed: {task.title}", points, task.speed.possible)
            | {"visibility": "visible", "output": said, "tags": [task.key, "speed"]}
        )
    return found


def _test(place: str, name: str, score: float, possible: float) -> dict[str, Any]:
    status = "passed" if score > possible - 1e-9 else "failed"
    return {"number": place, "name": name, "score": round(score, 6), "max_score": round(possible, 6), "status": status}


def _text(lab: Lab, task: TaskResult, report: Report, hidden: bool) -> str:
    text = f"earns nothing: {report.refused}" if report.refused else tell.task(lab, task, report.seed, hidden)
    return text if len(text) <= LONGEST else text[:LONGEST] + "\n..."


def _overview(report: Report, waiting: Sequence[TaskResult]) -> str:
    """What everybody sees first: how far the public checks are passed, and how many stay hidden."""
    cases = [case for task in (*report.tasks, *waiting) for case in task.cases]
    public = [case for case in cases if not case.hidden]
    more = len(cases) - len(public)
    lines = [f"Public checks: {0 if report.refused else sum(c.passed for c in public)} of {len(public)} passed."]
    if report.refused:
        lines.insert(0, f"This submission earns nothing: {report.refused}")
    if more:
        lines.append(f"{more} more checks are run and stay hidden until the grades are published.")
    if waiting:
        lines.append(f"{len(waiting)} of {len(report.tasks) + len(waiting)} tasks were not graded in this run.")
    lines.append(f"To run the public checks yourself: tinyres lab check --seed {report.seed}")
    return "\n".join(lines)


def _finite(value: float) -> float:
    return round(value, 2) if math.isfinite(value) else 0.0
