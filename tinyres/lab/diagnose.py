"""Which known mistakes explain wrong results? Found by making them on purpose and comparing.

Every recipe of the task's table is made on the cases that failed, smallest first; one that yields, number for number,
what the submission yielded is the cause. Results are looked at one by one, since a slip in `dx` and one in `dgamma` are
two. Where no recipe explains all failures of a result, pairs are tried: two mistakes at once. Where nothing fits,
`localise` says what is peculiar about the difference.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from tinyres.lab.compare import differs, tolerance
from tinyres.lab.contrast import contrast
from tinyres.lab.localise import peculiar
from tinyres.lab.task import Case, Recipe, Results, Task

SECONDS = 1.3  # of processor time for one task: a whole class is waiting
FEW = 5  # of the smallest failing cases: what explains none of these is no candidate
PREFIX = "equals what you get "
Mistakes = tuple[int, ...]  # one or two, by their places in the table


@dataclass(frozen=True)
class Failure:
    """One case, what was expected, what came back, and the names of the results that are wrong.

    None of them is wrong in a case that passed: it speaks against mistakes that would have shown there.
    """

    case: Case
    expected: Results
    got: Results
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cause:
    """Why a case failed, for the student, and the names of the recipes that say so (none: it was localised)."""

    sentence: str
    recipes: tuple[str, ...] = ()


def apply(task: Task, recipes: Sequence[Recipe], case: Case) -> Results:
    """The results of a case with these mistakes: what goes in is changed, then the formula, then what comes out."""
    return _after(recipes, _formula(task, recipes, case), case)


def _formula(task: Task, recipes: Sequence[Recipe], case: Case) -> Results:
    for recipe in recipes:
        case = recipe.before(case) if recipe.before else case
    formula = next((recipe.instead for recipe in recipes if recipe.instead), task.checks.reference)
    return {name: np.array(array) for name, array in formula(case).items()}


def _after(recipes: Sequence[Recipe], results: Results, case: Case) -> Results:
    for recipe in recipes:
        if recipe.after:
            results = recipe.after({name: np.array(array) for name, array in results.items()}, case)
    return results


def causes(task: Task, failures: Sequence[Failure], passed: Sequence[Failure] = ()) -> list[Cause]:
    """Why each case failed.

    Parameters
    ----------
    task : Task
    failures : sequence of Failure
    passed : sequence of Failure
        The cases that passed: among mistakes that explain the same, the one that they do not contradict is preferred.

    Returns
    -------
    list of Cause
        One for each failure, in their order.
    """
    if not failures:
        return []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # mistakes divide by zero, and average nothing
        search = _Search(task, failures, passed)
        best = {name: search.explain(name) for name in _names(failures)}
        shared = contrast([each.case for each in failures], [each.case for each in passed])
        return [_cause(search, index, best, shared) for index in range(len(failures))]


def _names(failures: Iterable[Failure]) -> list[str]:
    return list(dict.fromkeys(name for failure in failures for name in failure.wrong))


def _cause(search: _Search, index: int, best: dict[str, list[Mistakes]], shared: str) -> Cause:
    """The first explanation of each wrong result that fits this case; results with the same one are told together.

    Where no recipe is among them, what the failing cases share (`contrast`) is told too.
    """
    failure, told = search.outcomes[index], dict[Mistakes, list[str]]()
    for name in failure.wrong:
        told.setdefault(next((each for each in best[name] if search.fits(each, index, name)), ()), []).append(name)
    parts, names = [], []
    for mistakes, results in told.items():
        recipes = [search.recipes[each] for each in mistakes]
        names += [recipe.name for recipe in recipes if recipe.name not in names]
        said = sentence(recipes) if recipes else search.peculiarity(failure, results[0])
        parts.append(f"{' and '.join(results)} {said}" if len(told) > 1 and recipes else said)
    return Cause("; ".join(filter(None, (*parts, "" if names else shared))), tuple(names))


def sentence(recipes: Sequence[Recipe]) -> str:
    """What one recipe says, or two together."""
    if len(recipes) == 1:
        return recipes[0].sentence
    first, second = (recipe.sentence.removeprefix(PREFIX) for recipe in recipes)
    return f"{PREFIX}with two slips at once: {first}; and {second}"


class _Search:
    """What every mistake makes of every case, computed once and only when it is asked for."""

    def __init__(self, task: Task, failures: Sequence[Failure], passed: Sequence[Failure]) -> None:
        self.task, self.recipes = task, task.checks.recipes
        self.outcomes = [*failures, *passed]  # an outcome is known by its place here
        self.failures = sorted(range(len(failures)), key=lambda index: _size(failures[index].case))
        self.passed = sorted(range(len(failures), len(self.outcomes)), key=lambda i: _size(self.outcomes[i].case))
        self.deadline = time.thread_time() + SECONDS
        self._raw: dict[tuple[Mistakes, int], Results | None] = {}
        self._made: dict[tuple[Mistakes, int], Results | None] = {}

    def make(self, mistakes: Mistakes, index: int) -> Results | None:
        """The results with these mistakes; None where they cannot be made (a shape does not fit, the time is up)."""
        key = (mistakes, index)
        if key not in self._made and time.thread_time() < self.deadline:
            case, recipes = self.outcomes[index].case, [self.recipes[each] for each in mistakes]
            inner = tuple(each for each in mistakes if self.recipes[each].before or self.recipes[each].instead)
            try:
                if (inner, index) not in self._raw:
                    self._raw[inner, index] = None
                    self._raw[inner, index] = _formula(self.task, [self.recipes[each] for each in inner], case)
                raw = self._raw[inner, index]
                self._made[key] = None if raw is None else _after(recipes, raw, case)
            except Exception:  # whatever a recipe stumbles over: it does not explain this case
                self._made[key] = None
        return self._made.get(key)

    def fits(self, mistakes: Mistakes, index: int, name: str) -> bool:
        """Whether they yield what was got, which is not what was expected."""
        outcome, made = self.outcomes[index], self.make(mistakes, index)
        if made is None or name not in made or name not in outcome.got:
            return False
        return not self._differs(outcome.case, made[name], outcome.got[name]) and self._spoils(made, outcome, name)

    def _spoils(self, made: Results, outcome: Failure, name: str) -> bool:
        return name not in made or self._differs(outcome.case, outcome.expected[name], made[name])

    def _differs(self, case: Case, right: object, other: object) -> bool:
        first, second = np.asarray(right), np.asarray(other)
        if first.shape != second.shape or second.dtype.kind not in "fiub":
            return True
        return bool(differs(first, second, tolerance(case, first, self.task.checks.terms(case))).any())

    def peculiarity(self, failure: Failure, name: str) -> str:
        """What is peculiar about a result that no mistake explains."""
        terms = self.task.checks.terms(failure.case)
        return peculiar(failure.case, name, failure.expected, failure.got, terms)

    def explain(self, name: str) -> list[Mistakes]:
        """The mistakes that explain any failure of a result, best first."""
        involved = [index for index in self.failures if name in self.outcomes[index].wrong]
        singles = [(each,) for each in range(len(self.recipes))]
        whole: list[Mistakes] = list(singles)
        for index in involved:  # most often one mistake explains everything: the others fall off at the first case
            whole = [each for each in whole if self.fits(each, index, name)]
        found = whole or [each for each in singles if any(self.fits(each, index, name) for index in involved[:FEW])]
        if not whole:
            covered = max(([i for i in involved if self.fits(each, i, name)] for each in found), key=len, default=[])
            rest = [index for index in involved if index not in covered and np.any(self.outcomes[index].got.get(name))]
            found += next((pairs for index in rest[:3] if (pairs := list(self._pairs(index, name)))), [])
        return self._ranked([each for each in found if self._likely(each, involved, name)], involved, name)

    def _likely(self, mistakes: Mistakes, involved: list[int], name: str) -> bool:
        """Whether it is no accident: half of the failures are explained, or a third and nothing speaks against it.

        In small cases many mistakes come to the same; one that fits there only would mislead.
        """
        count = sum(self.fits(mistakes, index, name) for index in involved)
        return 2 * count >= len(involved) or (3 * count >= len(involved) and not self._against(mistakes))

    def _pairs(self, index: int, name: str) -> Iterator[Mistakes]:
        """Two mistakes that together explain one case. Those that need no further run of the formula come first."""
        places = range(len(self.recipes))
        inner = [each for each in places if self.recipes[each].before or self.recipes[each].instead]
        outer = [each for each in places if each not in inner]
        cheap = [*((first, second) for first in inner for second in outer), *permutations(outer, 2)]
        costly = [*combinations(inner, 2), *combinations(reversed(inner), 2)]  # most often the order does not matter
        for pair in (*cheap, *costly):
            if not all(self.recipes[each].instead for each in pair) and self.fits(pair, index, name):
                yield pair

    def _ranked(self, found: list[Mistakes], involved: list[int], name: str) -> list[Mistakes]:
        """By the failures of this result explained, of all results, by what they contradict, their number, order."""
        if len(found) < 2:
            return found

        def rank(mistakes: Mistakes) -> tuple[int, int, int, int]:
            own = sum(self.fits(mistakes, index, name) for index in involved)
            every = sum(self.fits(mistakes, i, each) for i in self.failures for each in self.outcomes[i].wrong)
            return -own, -every, self._against(mistakes), len(mistakes)

        return sorted(found, key=rank)

    def _against(self, mistakes: Mistakes) -> int:
        """In how many results that are right they would have shown."""
        count = 0
        for index in (*self.failures, *self.passed):
            outcome, made = self.outcomes[index], self.make(mistakes, index)
            right = [name for name in outcome.expected if name not in outcome.wrong]
            count += sum(made is not None and self._spoils(made, outcome, name) for name in right)
        return count


def _size(case: Case) -> int:
    return sum(np.size(array) for array in case.arrays.values())
