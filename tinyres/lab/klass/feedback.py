"""`feedback/NAME.txt`: what a student reads when the grades are out, hidden cases included.

A mistake is told as `tinyres lab check` tells it: first the gap, then the cause, then how to run it again.
"""

from __future__ import annotations

from tinyres.lab import tell
from tinyres.lab.klass.table import number
from tinyres.lab.results import Report, TaskResult
from tinyres.lab.task import Lab

PRINTED = 2000  # characters of what a submission printed


def feedback(lab: Lab, report: Report) -> str:
    """The text for one student."""
    head = f"{lab.id}: {lab.title}\n{report.submission}: {number(report.points)} of {number(report.possible)} points"
    parts = [head]
    if report.refused:
        parts.append(f"This submission earns nothing: {report.refused}")
    else:
        parts += [task_text(lab, task, report.seed) for task in report.tasks]
    if report.notes:
        parts.append("\n".join(f"note  {note}" for note in report.notes))
    if report.printed:
        cut = report.printed[:PRINTED]
        more = f"\n... ({len(report.printed) - len(cut)} characters more)" if len(cut) < len(report.printed) else ""
        parts.append(f"Your files printed:\n{cut}{more}")
    parts.append(f"Checked by tinyres {report.version} with seed {report.seed}.")
    return plain("\n\n".join(parts)) + "\n"


def plain(text: str) -> str:
    """The text without what would move a cursor or change a colour, whatever a submission printed."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def task_text(lab: Lab, task: TaskResult, seed: int) -> str:
    """One task: its points, then its public cases, then the hidden ones."""
    possible = task.possible + (task.speed.possible if task.speed else 0.0)
    lines = [f"{task.key}: {number(task.points)} of {number(possible)} points", tell.task(lab, task, seed)]
    if any(case.hidden for case in task.cases):
        lines.append(tell.task(lab, task, seed, hidden=True))
    return "\n".join(lines)
