"""`feedback/NAME.txt`: what a student reads when the grades are out, hidden cases included.

A mistake is told once, with the cases that it spoiled: first the gap, then the cause, then how to run it again.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyres.lab.klass.table import number
from tinyres.lab.results import CaseResult, Report, TaskResult
from tinyres.lab.task import Lab

PRINTED = 2000  # characters of what a submission printed


def feedback(lab: Lab, report: Report) -> str:
    """The text for one student."""
    head = f"{lab.id}: {lab.title}\n{report.submission}: {number(report.points)} of {number(report.possible)} points"
    parts = [head]
    if report.refused:
        parts.append(f"This submission earns nothing: {report.refused}")
    parts += [task_text(task, report.seed) for task in report.tasks]
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


def task_text(task: TaskResult, seed: int, hidden: bool | None = None) -> str:
    """One task; `hidden` True or False takes only those cases."""
    cases = [case for case in task.cases if hidden is None or case.hidden is hidden]
    speed = task.speed if not hidden else None
    possible = task.possible + (task.speed.possible if task.speed else 0.0)
    lines = [f"{task.key}: {task.title}"]
    if hidden is None:
        lines[0] += f"  ({number(task.points)} of {number(possible)} points)"
    passed = sum(case.passed for case in cases)
    if cases:
        lines.append(f"  {passed} of {len(cases)} cases passed")
    for first, same in told_once(cases):
        lines += case_lines(first, same, task.key, seed)
    if task.stopped and hidden is not True:
        lines.append(f"  stopped  {task.stopped}")
    if speed:
        lines.append(f"  speed    {speed.said or f'{speed.ratio:.1f} times the naive loop'}")
    return "\n".join(lines)


def told_once(cases: Sequence[CaseResult]) -> list[tuple[CaseResult, list[str]]]:
    """The failed cases, each cause with the first case that it spoiled and the names of the others."""
    found: dict[tuple[object, ...], tuple[CaseResult, list[str]]] = {}
    for case in cases:
        if not case.passed:
            what = ("recipes", *case.recipes) if case.recipes else ("said", case.problem, case.cause, case.kind)
            if what in found:
                found[what][1].append(case.name)
            else:
                found[what] = case, []
    return list(found.values())


def case_lines(case: CaseResult, same: Sequence[str], key: str, seed: int) -> list[str]:
    """A failed case: gap, cause, the other cases like it, how to run it again."""
    also = f" (and {', '.join(same)})" if same else ""
    said = [("gap", case.gap), ("cause", case.cause), ("problem", case.problem)]
    lines = [f"  {'hidden ' if case.hidden else ''}case {case.name}{also}"]
    lines += [f"    {label:<8} {text}" for label, text in said if text]
    return lines if case.hidden else [*lines, f"    {'again':<8} tinyres lab check {key} --seed {seed}"]
