"""Everything about a graded class, into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinyres.lab.klass.feedback import feedback
from tinyres.lab.klass.page import page
from tinyres.lab.klass.table import table
from tinyres.lab.results import Report
from tinyres.lab.task import Lab
from tinyres.train.folder import write_atomically

TABLE, PAGE, FEEDBACK = "grades.csv", "class.html", "feedback"


def write(lab: Lab, reports: Sequence[Report], out: Path, date: str) -> None:
    """Write grades.csv, class.html and a text for each student."""
    (out / FEEDBACK).mkdir(parents=True, exist_ok=True)
    for report in reports:
        write_atomically(out / FEEDBACK / f"{report.submission}.txt", encoded(feedback(lab, report)))
    write_atomically(out / TABLE, encoded("\ufeff" + table(lab, reports)))  # the mark tells Excel that it is UTF-8
    write_atomically(out / PAGE, encoded(page(lab, reports, date)))


def encoded(text: str) -> bytes:
    """As UTF-8, whatever a submission printed."""
    return text.encode("utf-8", errors="replace")
