"""What one answer of a submission is worth: the right numbers, in the right form, with clean hands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tinyres.lab.compare import differs, form, gap, tolerance, wrong
from tinyres.lab.diagnose import Failure
from tinyres.lab.results import CaseResult
from tinyres.lab.sandbox import Answer
from tinyres.lab.task import Array, Case, Results, Task


def judge(task: Task, case: Case, expected: Results, answer: Answer) -> tuple[CaseResult, Failure | None]:
    """What one answer is worth, and what there is to diagnose if numbers came back.

    Parameters
    ----------
    task : Task
    case : Case
    expected : dict
        What the reference says.
    answer : Answer

    Returns
    -------
    result : CaseResult
    outcome : Failure or None
    """
    blank = CaseResult(case.name, False, case.hidden, seconds=answer.seconds)
    if answer.problem or answer.results is None:
        return replace(blank, problem=answer.problem or "nothing came back", kind=answer.kind or "died"), None
    problem = next(_contract(case, answer), "")
    if task.checks.judge:
        said = next(filter(None, (_unusable(case, n, a, answer.results.get(n)) for n, a in expected.items())), "")
        said = said or task.checks.judge(case, answer.results)
        return replace(blank, passed=not (said or problem), gap=said, problem=problem, kind=_kind(problem)), None
    terms = task.checks.terms(case)
    names = wrong(case, expected, answer.results, terms)
    said = gap(case, expected, answer.results, names, terms) if names else ""
    result = replace(blank, passed=not (names or problem), gap=said, problem=problem, kind=_kind(problem))
    return result, Failure(case, expected, answer.results, names)


def _unusable(case: Case, name: str, blank: Array, got: Array | None) -> str:
    """What keeps a result from being judged: its form, or entries that are no numbers."""
    said = form(case, name, blank, got)
    return said or ("" if np.isfinite(np.asarray(got)).all() else f"{name}: NaN or infinity is left in it")


def _kind(problem: str) -> str:
    return "contract" if problem else ""


def _contract(case: Case, answer: Answer) -> Iterator[str]:
    """What a function must not do, whatever its results: change its inputs, or yield other numbers the next time."""
    for name, array in case.arrays.items():
        before, after = np.asarray(array), answer.inputs.get(name)
        sent = before.astype(case.dtype) if before.dtype.kind == "f" else before
        if after is not None and not _same(sent, after):
            yield f"it changes its input {name}{_first(sent, after)}; work on a copy"
    if answer.again is not None and answer.results is not None:
        for name, array in answer.results.items():
            other = answer.again.get(name)
            if other is None or not _same(array, other):
                yield f"a second call with the same inputs yields another {name}{_unlike(case, array, other)}"


def _unlike(case: Case, array: Array, other: Array | None) -> str:
    """How two results of one call differ."""
    one, two = np.asarray(array), np.asarray(other)
    alike = one.shape == two.shape and one.dtype == two.dtype and one.dtype.kind == "f"
    if alike and not differs(one, two, tolerance(case, one, 1.0)).any():
        return " (in its last digits): is it summed in an order that changes from call to call?"
    return ": are random numbers drawn without a seed, memory used before it is written, something kept from before?"


def _same(first: Array, second: Array) -> bool:
    """Equal number for number; one NaN is like another."""
    one, two = np.asarray(first), np.asarray(second)
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return bool(np.array_equal(one, two, equal_nan=one.dtype.kind in "fc"))


def _first(sent: Array, after: Array) -> str:
    """Where an input was changed."""
    if np.shape(sent) != np.shape(after) or sent.dtype != after.dtype or not np.ndim(sent):
        return ""
    index = tuple(int(i) for i in np.argwhere(~((sent == after) | ((sent != sent) & (after != after))))[0])
    return f" ([{','.join(map(str, index))}] was {sent[index]:.6g} and is {after[index]:.6g} now)"
