"""Do the labs hold what they promise? Asked by their maintainers and by the gate.

For each lab: the library's own solution earns every point, the stub none, each known mistake is caught **and named**,
and all of it takes less time than a grader has.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyres.lab import start
from tinyres.lab.check import cases_of, check
from tinyres.lab.compare import wrong
from tinyres.lab.diagnose import Failure, apply, causes
from tinyres.lab.results import Report
from tinyres.lab.task import Case, Lab, Recipe, Results, Task

SECONDS = 30.0  # for a whole lab, hidden cases and speed included: 60 s on half a core


@dataclass(frozen=True)
class Verdict:
    """What became of one lab: `faults` are sentences, none if all is well."""

    lab: str
    solution: float  # share of the points
    stub: float
    recipes: int
    caught: int
    named: int
    seconds: float  # of grading the solution
    faults: tuple[str, ...]


def verify(lab: Lab, seed: int) -> Verdict:
    """Grade the solution and the stub of a lab, and make each of its known mistakes on purpose.

    Parameters
    ----------
    lab : Lab
    seed : int
        Of the cases.

    Returns
    -------
    Verdict
    """
    begin = time.perf_counter()
    best = check(lab, lab.folder, seed=seed, hidden=True, text=start.solutions(lab), timed=True)
    seconds = time.perf_counter() - begin
    worst = check(lab, lab.folder, seed=seed, hidden=True, text=start.stubs(lab), timed=True)
    faults = [*_lacking(best), *_undeserved(worst)]
    if seconds > SECONDS:
        faults.append(f"grading the solution took {seconds:.0f} s; {SECONDS:.0f} s are allowed.")
    made = [(task, mistake) for task in lab.tasks for mistake in mistakes(task, seed)]
    faults += [f"{task.key}: {mistake.fault}" for task, mistake in made if mistake.fault]
    return Verdict(
        lab.id,
        solution=best.points / lab.points,
        stub=worst.points / lab.points,
        recipes=len(made),
        caught=sum(mistake.shows > 0 for _, mistake in made),
        named=sum(not mistake.fault for _, mistake in made),
        seconds=seconds,
        faults=tuple(faults),
    )


@dataclass(frozen=True)
class Mistake:
    """A known mistake, made on purpose: in how many public cases it shows, and what is wrong with its telling."""

    name: str
    shows: int
    fault: str


def mistakes(task: Task, seed: int) -> Iterator[Mistake]:
    """Make each known mistake of a task, and see what the one who made it would be told."""
    cases = [(case, task.checks.reference(case)) for case in cases_of(task, seed, hidden=False)]
    for recipe in task.checks.recipes:
        outcomes = [_outcome(task, recipe, case, expected) for case, expected in cases]
        failures = [outcome for outcome in outcomes if outcome.wrong]
        said = {cause.recipes for cause in causes(task, failures, [o for o in outcomes if not o.wrong])}
        others = " and ".join(sorted("+".join(names) or "nothing" for names in said))
        fault = "" if said == {(recipe.name,)} else f"the mistake {recipe.name!r} is told as {others}."
        yield Mistake(
            recipe.name, len(failures), fault if failures else f"the mistake {recipe.name!r} passes every public check."
        )


def _lacking(report: Report) -> Iterator[str]:
    """What the solution did not get."""
    if report.refused:
        yield f"the solution is refused: {report.refused}"
    for task in report.tasks:
        for case in task.cases:
            if not case.passed:
                yield f"{task.key}, {case.name}: the solution fails: {case.problem or case.gap}"
        if task.speed and task.speed.points < task.speed.possible:
            yield f"{task.key}: the solution is {task.speed.ratio:.1f} times as fast as the naive loops only."


def _undeserved(report: Report) -> Iterator[str]:
    """What the stub got."""
    for task in report.tasks:
        for case in task.cases:
            if case.passed:
                yield f"{task.key}, {case.name}: passed by who has written nothing."


def _outcome(task: Task, recipe: Recipe, case: Case, expected: Results) -> Failure:
    """What a submission with this mistake would return, and which of it is wrong."""
    got = _in_type(apply(task, [recipe], case), case)
    return Failure(case, expected, got, wrong(case, expected, got, task.checks.terms(case)))


def _in_type(results: Results, case: Case) -> Results:
    """As a submission would return them."""
    kept = {name: np.asarray(array) for name, array in results.items()}
    return {name: a.astype(case.dtype) if a.dtype.kind == "f" else a for name, a in kept.items()}
