"""What checking found, as JSON: one file a submission, written whole or not at all, after every task."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyres.errors import LabError
from tinyres.lab.results import CaseResult, Report, SpeedResult, TaskResult
from tinyres.train.folder import write_atomically

FORM = 1  # of the file; another number is another form


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON entries, with the points that follow from it."""
    said = asdict(report)
    for entry, task in zip(said["tasks"], report.tasks, strict=True):
        entry["points"] = task.points
    return {"form": FORM, "points": report.points, **said}


def from_json(said: dict[str, Any]) -> Report:
    """The report that `to_json` was given.

    Raises
    ------
    LabError
        The entries are not those of a report.
    """
    try:
        if said["form"] != FORM:
            raise ValueError(f"form {said['form']}, not {FORM}")
        rest = {name: value for name, value in said.items() if name not in ("form", "points", "tasks", "notes")}
        return Report(**rest, tasks=tuple(_task(entry) for entry in said["tasks"]), notes=tuple(said["notes"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabError(
            f"this is not the record of a graded submission ({error}); grade it anew with --again."
        ) from None


def write(report: Report, path: Path) -> None:
    """Write the record of a submission."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(to_json(report), indent=1) + "\n").encode())


def read(path: Path) -> Report:
    """The record in a file.

    Raises
    ------
    LabError
        There is none, or it is damaged.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabError(f"{path} cannot be read ({error}); grade the submission anew.") from None
    return from_json(said)


def _task(said: dict[str, Any]) -> TaskResult:
    rest = {name: value for name, value in said.items() if name not in ("cases", "speed", "points")}
    cases = tuple(CaseResult(**{**case, "recipes": tuple(case["recipes"])}) for case in said["cases"])
    return TaskResult(**rest, cases=cases, speed=SpeedResult(**said["speed"]) if said["speed"] else None)
