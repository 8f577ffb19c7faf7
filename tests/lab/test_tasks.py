"""What holds for every task of every lab: its cases, the table of its mistakes, and what `lab verify` says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyres.lab import catalogue, start, verify
from tinyres.lab.check import cases_of
from tinyres.lab.diagnose import PREFIX
from tinyres.lab.task import Recipe

TASKS = [(lab, task) for lab in catalogue.labs() for task in lab.tasks]
every_task = pytest.mark.parametrize(("lab", "task"), TASKS, ids=[task.key for _, task in TASKS])


@every_task
def test_cases_are_a_function_of_the_seed(lab, task):
    first, again, other = (cases_of(task, seed, hidden=True) for seed in (1, 1, 2))
    assert len({case.name for case in first}) == len(first)
    assert sum(not case.hidden for case in first) >= 3
    assert sum(case.hidden for case in first) >= 3
    for case, same in zip(first, again, strict=True):
        assert (case.name, case.params) == (same.name, same.params)
        assert all(np.array_equal(case.arrays[name], same.arrays[name], equal_nan=True) for name in case.arrays)
    drawn, anew = ([a for case in cases for a in (*case.arrays.values(), str(case.params))] for cases in (first, other))
    assert len(drawn) != len(anew) or not all(map(np.array_equal, drawn, anew))


@every_task
def test_mistakes_have_names_of_their_own_and_a_sentence(lab, task):
    names = [recipe.name for recipe in task.checks.recipes]
    assert len(set(names)) == len(names)
    assert all(recipe.sentence.startswith(PREFIX) for recipe in task.checks.recipes)
    assert len({recipe.sentence for recipe in task.checks.recipes}) == len(names)
    assert all(recipe.before or recipe.instead or recipe.after for recipe in task.checks.recipes)


@pytest.mark.slow
@every_task
def test_each_mistake_is_caught_and_named(lab, task):
    assert [mistake.fault for mistake in verify.mistakes(task, 3) if mistake.fault] == []


SUBJECTS = {
    "convolution forward": ("conv.forward",),
    "its gradient by the input": ("conv.input",),
    "its gradient by the filters": ("conv.weight",),
    "batch norm forward, evaluation": ("bn.statistics", "bn.eval", "bn.forward", "bn.running"),
    "batch norm backward": ("bn.parameters", "bn.input"),
    "shortcut and ReLU": ("relu.forward", "relu.gradient", "relu.add", "shortcut.pad", "shortcut.pad_gradient"),
    "autograd": ("order.reachable", "order.needed", "order.walk_back"),
    "SGD and schedules": ("sgd.update", "rate.multi_step", "rate.cosine", "rate.warm_up"),
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_at_least_twelve_mistakes_are_known_of_each_subject(subject):
    known = {task.key: task.checks.recipes for _, task in TASKS}
    assert len({recipe.name for key in SUBJECTS[subject] for recipe in known[key]}) >= 12


def test_a_mistake_that_shows_nowhere_or_is_told_as_another_is_a_fault():
    task = catalogue.lab("2").task("conv.pad")
    first = task.checks.recipes[0]
    twin = replace(first, name="twin")
    harmless = Recipe("harmless", f"{PREFIX}if nothing is wrong", after=lambda results, case: results)
    altered = replace(task, checks=replace(task.checks, recipes=(first, twin, harmless)))
    found = {mistake.name: mistake for mistake in verify.mistakes(altered, 1)}
    assert found[first.name].fault == ""
    assert "is told as" in found["twin"].fault
    assert found["harmless"].shows == 0
    assert "passes every public check" in found["harmless"].fault


def test_a_lab_whose_solution_is_wrong_or_whose_stub_earns_points_is_told(monkeypatch):
    lab = catalogue.lab("2")
    lab = replace(lab, tasks=(lab.task("conv.pad"),))
    monkeypatch.setattr(start, "stubs", start.solutions)
    verdict = verify.verify(lab, 1)
    assert (verdict.solution, verdict.stub) == (1.0, 1.0)
    assert any("written nothing" in fault for fault in verdict.faults)
    assert Path(lab.folder).is_dir()
