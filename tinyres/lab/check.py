"""Check a submission of a lab: run it in its sandbox on fresh cases, compare, name the causes, count the points.

Cases are functions of (seed, task): a run is repeated by its seed, and nobody can write down its answers beforehand.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinyres.errors import ConfigError, nearest
from tinyres.lab import catalogue
from tinyres.lab.compare import shapes
from tinyres.lab.diagnose import Failure, causes
from tinyres.lab.judge import judge
from tinyres.lab.results import CaseResult, Report, SpeedResult, TaskResult
from tinyres.lab.sandbox import Sandbox
from tinyres.lab.task import Case, Lab, Task
from tinyres.lab.timing import speed
from tinyres.train.start import versions

STOPS = ("timeout", "missing", "refused")  # after one of these the other cases of a task would end alike
REFUSED = "the submission is refused"
ENDS = ("died", "memory", "printed")  # these cost a worker, and starting another takes a while
DEATHS = 3  # as many may one task cost; after that, one each
SLOW = 0.5  # seconds: after a call that takes longer, the next ones are not repeated


def seeded(seed: int, task: Task, hidden: bool = False) -> np.random.Generator:
    """The generator of a task's cases; the hidden ones have another."""
    return np.random.default_rng([seed, zlib.crc32(task.key.encode()), *([1] if hidden else [])])


def cases_of(task: Task, seed: int, hidden: bool) -> list[Case]:
    """The public cases of a task, and after them the hidden ones if they are wanted; values exact in their type."""
    public = [case.rounded() for case in task.checks.cases(seeded(seed, task))]
    return public + _hidden(task, seed) if hidden else public


def _hidden(task: Task, seed: int) -> list[Case]:
    return [replace(case.rounded(), hidden=True) for case in task.checks.hidden(seeded(seed, task, hidden=True))]


def hidden_count(task: Task, seed: int) -> int:
    """How many more cases are run at grading."""
    return len(_hidden(task, seed))


def chosen(lab: Lab, keys: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of these keys in the lab's order, all if there are none; ConfigError for a key that it lacks."""
    known = [task.key for task in lab.tasks]
    for key in keys:
        if key not in known:
            other = next((each.id for each in catalogue.labs() if key in {task.key for task in each.tasks}), "")
            hint = f"; that is one of {other}, in another folder" if other else nearest(key, known)
            raise ConfigError(f"lab {lab.id} has no task {key!r}{hint}.")
    return tuple(task for task in lab.tasks if not keys or task.key in keys)


def check(
    lab: Lab,
    folder: Path,
    *,
    seed: int,
    hidden: bool = False,
    keys: Sequence[str] = (),
    others: Mapping[str, Path] | None = None,
    text: Mapping[str, str] | None = None,
    timed: bool = False,
    on_task: Callable[[TaskResult], None] | None = None,
) -> Report:
    """Check what somebody wrote.

    Parameters
    ----------
    lab : Lab
    folder : Path
        Where the files of the submission lie.
    seed : int
        Of all cases.
    hidden : bool
        Run the cases of grading too.
    keys : sequence of str
        Tasks; all of them by default.
    others : mapping of str to Path
        Files of earlier labs that stand in for modules of tinyres.
    text : mapping of str to str
        Source by file name, instead of the folder's files.
    timed : bool
        Measure speed, where all cases are right.
    on_task : callable
        Gets the result of each task as soon as it is there.

    Returns
    -------
    Report

    Raises
    ------
    ConfigError
        The lab has no task of such a key.
    """
    begin, done = time.perf_counter(), list[TaskResult]()
    tasks = chosen(lab, keys)
    with Sandbox(lab, folder, others=others, text=text) as sandbox:
        for task in tasks:
            patience = 1 if any(_deaths(result) >= DEATHS for result in done) else DEATHS
            done.append(_task(sandbox, task, cases_of(task, seed, hidden), patience))
            if timed:
                done[-1] = _timed(sandbox, lab, task, done[-1], seed)
            if on_task:
                on_task(done[-1])
        refused, printed, notes = sandbox.refused, sandbox.printed, tuple(sandbox.notes)
    return Report(
        lab=lab.id,
        submission=folder.name,
        seed=seed,
        tasks=tuple(done),
        possible=sum(task.possible + (task.speed.possible if task.speed else 0.0) for task in done),
        refused=refused,
        notes=notes,
        printed=printed,
        seconds=time.perf_counter() - begin,
        version=versions()["tinyres"],
    )


def _task(sandbox: Sandbox, task: Task, cases: list[Case], patience: int) -> TaskResult:
    """All cases of one task, with the causes of what failed; at most `patience` of them may end the worker."""
    results, outcomes = list[CaseResult](), dict[int, Failure]()
    stopped, last = REFUSED if sandbox.refused else "", 0.0
    for place, case in enumerate(cases):
        if stopped:
            results.append(CaseResult(case.name, False, case.hidden, problem=f"not run: {stopped}", kind="stopped"))
            continue
        expected = task.checks.reference(case)
        answer = sandbox.call(task, case, shapes(case, expected), twice=last < SLOW)
        result, outcome = judge(task, case, expected, answer)
        results.append(result)
        if outcome:
            outcomes[place] = outcome
        last = answer.seconds
        if answer.kind in STOPS:
            stopped = {"timeout": f"{case.name} took too long", "missing": "it is not written yet"}.get(
                answer.kind, REFUSED
            )
        elif sum(each.kind in ENDS for each in results) >= patience:
            stopped = f"{'a case' if patience == 1 else f'{patience} cases'} ended the process"
    failing = [place for place, outcome in outcomes.items() if outcome.wrong]
    passed = [outcome for outcome in outcomes.values() if not outcome.wrong]
    found = causes(task, [outcomes[place] for place in failing], passed)
    for place, cause in zip(failing, found, strict=True):
        if cause.recipes or not results[place].problem:  # memory that is not its own shows no pattern worth telling
            results[place] = replace(results[place], cause=cause.sentence, recipes=cause.recipes)
    return TaskResult(task.key, task.title, task.points, tuple(results), stopped=stopped)


def _deaths(result: TaskResult) -> int:
    return sum(case.kind in ENDS for case in result.cases)


def _timed(sandbox: Sandbox, lab: Lab, task: Task, result: TaskResult, seed: int) -> TaskResult:
    """The same result with its speed, if there are points for that."""
    wanted = task.checks.speed
    if wanted is None:
        return result
    if not all(case.passed for case in result.cases):
        return replace(result, speed=SpeedResult(0.0, 0.0, wanted.points, "speed counts once all checks are passed"))
    return replace(result, speed=speed(sandbox, lab, task, seeded(seed, task)))
