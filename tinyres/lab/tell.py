"""What a student reads after a check: for each task the gap, the cause, how to run it again; then the points.

Cases that fail for one cause are told once, by the first of them, which is the smallest.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from tinyres.lab.results import CaseResult, Report, TaskResult
from tinyres.lab.task import Lab

WIDTH = 110
LABEL = 7  # of "cause  "
SHOWN = 3  # causes of one task
BAR = 24
NUMBER = re.compile(r"[-+]?\d[\d.e+-]*")  # what one cause says of each case differs in


def task(lab: Lab, result: TaskResult, seed: int, hidden: bool = False) -> str:
    """The text of one task.

    Parameters
    ----------
    lab : Lab
    result : TaskResult
    seed : int
        For the line that says how to run it again.
    hidden : bool
        Tell of its hidden cases, and of these only; else of the public ones only.

    Returns
    -------
    str
        Lines without a newline at the end.
    """
    cases = [case for case in result.cases if case.hidden == hidden]
    passed = sum(case.passed for case in cases)
    kind = "hidden checks" if hidden else "checks"
    points = "" if any(case.hidden for case in result.cases) else f", {_points(result)}"
    mark = "ok  " if passed == len(cases) else "FAIL"
    lines = [f"{mark} {result.key}: {result.title} ({passed} of {len(cases)} {kind}{points})"]
    empty = next((case.problem for case in result.cases if case.kind == "missing"), "")
    if empty and all(case.kind in ("missing", "stopped") for case in result.cases):
        return f"---- {lines[0][5:]}\n" + _line("to do", _unwritten(lab, result.key, empty))
    lines += _failures(cases)
    if result.speed and not hidden:
        lines.append(
            _line("speed", f"{result.speed.said} ({result.speed.points:g} of {result.speed.possible:g} points)")
        )
    if passed < len(cases) and not hidden:
        lines.append(_line("again", f"tinyres lab check {result.key} --seed {seed}"))
    return "\n".join(lines)


def _called(key: str, said: str) -> str:
    """The other part that a task stumbles over because it is not written yet; "" if it is its own."""
    first, _, rest = said.partition(" ")
    return first if rest == "is not written yet" and first != key else ""


def _unwritten(lab: Lab, key: str, said: str) -> str:
    """Where the part is that is not there yet: it may be one that this task calls, of this lab or an earlier one."""
    files, called = {each.key: each.file for each in lab.tasks}, _called(key, said)
    if called and called not in files:
        return f"{said}; {key} calls it: write it in the folder of its lab, or check without --mine"
    return f"{files[called or key]}: {said}"


def _points(result: TaskResult) -> str:
    possible = result.possible + (result.speed.possible if result.speed else 0.0)
    return f"{result.points:.3g} of {possible:g} points"


def _failures(cases: Sequence[CaseResult]) -> Iterator[str]:
    """Case, gap and cause of what failed, once for each cause."""
    groups: dict[tuple[str, ...], list[CaseResult]] = {}
    for case in cases:
        if not case.passed and case.kind != "stopped":
            line = case.problem.split("`:")[0] if case.kind == "error" else ""  # what is raised there may differ
            groups.setdefault((NUMBER.sub("#", case.cause), case.kind, line), []).append(case)
    for same in list(groups.values())[:SHOWN]:
        yield from failure(same[0])
        if more := [case.name for case in same[1:]]:
            yield _line("also", ", ".join(more) if len(same) < len(cases) else f"all {len(more)} others")
    if rest := list(groups.values())[SHOWN:]:
        yield _line("also", f"{sum(map(len, rest))} more, for other causes")
    if left := [case for case in cases if case.kind == "stopped"]:
        yield _line("stop", f"{len(left)} more {'was' if len(left) == 1 else 'were'} {left[0].problem}")


def failure(case: CaseResult) -> Iterator[str]:
    """The lines of one failed case: which, what went wrong or the gap, and why."""
    yield _line("case", case.name)
    if case.problem:
        first, *rest = case.problem.splitlines()
        yield "\n".join([_line("error", first), *(" " * (LABEL + 4) + line for line in rest)])
    if case.gap:
        yield _line("gap", case.gap)
    if case.cause:
        yield _line("cause", case.cause)


def _line(label: str, text: str) -> str:
    """A label and its text, broken where lines get long."""
    begin, indent = f"  {label:<{LABEL}}", " " * (LABEL + 2)
    return textwrap.fill(
        text, WIDTH, initial_indent=begin, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def head(lab: Lab, seed: int) -> str:
    """The first line: which lab, which cases."""
    return f"{lab.id}: {lab.title}; seed {seed}"


def foot(lab: Lab, report: Report, hidden: Mapping[str, int]) -> str:
    """Points, what else will be run at grading, and what to do next.

    Parameters
    ----------
    lab : Lab
    report : Report
    hidden : mapping of str to int
        How many hidden cases each task has.

    Returns
    -------
    str
    """
    lines = []
    if report.printed:
        lines.append(_line("print", report.printed.strip()[:300]))
    if report.refused:
        lines.append(_line("error", f"refused, and so worth nothing: {report.refused}"))
    share = report.points / report.possible if report.possible else 0.0
    filled = int(BAR * share)
    lines.append(
        f"[{'#' * filled}{'-' * (BAR - filled)}] {report.points:.3g} of {report.possible:g} points on public checks"
    )
    if counts := {key: count for key, count in hidden.items() if count}:
        each = ", ".join(f"{key} {count}" for key, count in counts.items())
        lines.append(f"{sum(counts.values())} more hidden checks run at grading: {each}")
    lines.append(f"next: {_next(lab, report)}")
    return "\n".join(lines)


def _next(lab: Lab, report: Report) -> str:
    """The command that gets on with it."""
    for result in report.tasks:
        if report.refused:
            return "take out what is refused, and check again"
        if all(case.passed for case in result.cases):
            continue
        if called := next((_called(result.key, case.problem) for case in result.cases if case.kind == "missing"), ""):
            return f"write {called}, which {result.key} calls"
        file = next(each.file for each in lab.tasks if each.key == result.key)
        todo = "write" if any(case.kind == "missing" for case in result.cases) else "mend"
        return f"{todo} {result.key} in {file}; a hint: `tinyres lab hint {result.key}`"
    if left := [each.key for each in lab.tasks if each.key not in {result.key for result in report.tasks}]:
        return f"`tinyres lab check` for all of the lab ({len(left)} more {'task' if len(left) == 1 else 'tasks'})"
    if any(each.checks.speed for each in lab.tasks) and not any(result.speed for result in report.tasks):
        return "how fast is it? `tinyres lab time`"
    return "all done; `tinyres lab list` shows the other labs"
