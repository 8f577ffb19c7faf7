"""`grades.csv`: a row for each submission, a column for each task and the total."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tinyres.lab.results import Report
from tinyres.lab.task import Lab


def table(lab: Lab, reports: Sequence[Report]) -> str:
    """The table as CSV; nobody is left out, and what was refused or broke off has its reason in the last column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = [task.key for task in lab.tasks]
    writer.writerow(["submission", *keys, "total", "possible", "percent", "seed", "remarks"])
    for report in reports:
        earned = {} if report.refused else {task.key: task.points for task in report.tasks}
        percent = 100 * report.points / report.possible if report.possible else 0.0
        notes = [f"note: {note}" for note in report.notes]  # a cell that begins with "=" would be a formula
        remarks = " | ".join([f"earns nothing: {report.refused}"] * bool(report.refused) + notes)
        points = [number(earned.get(key, 0.0)) for key in keys]
        total = [number(report.points), number(report.possible), f"{percent:.1f}"]
        writer.writerow([report.submission, *points, *total, report.seed, " ".join(remarks.split())])
    return out.getvalue()


def number(points: float) -> str:
    """Points as people write them: `4`, `4.5`, `2.67`."""
    return f"{points:.2f}".rstrip("0").rstrip(".")
