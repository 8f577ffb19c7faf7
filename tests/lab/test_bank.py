"""The bank of wrong solutions: each is right without its slip, caught with it, and most are told what is wrong."""

from __future__ import annotations

import pytest
from lab_bank import bank, checked, judged, table

from tinyres.lab import catalogue

BANK = {solution.name: solution for solution in bank()}
SOME = ("conv_forward__taps_turned", "bn_input__count_of_images", "sgd_update__velocity_averaged")
SEED = 4711
SUBJECTS = {
    "convolution": ("conv.pad", "conv.im2col", "conv.forward"),
    "its input gradient": ("conv.spread", "conv.input"),
    "its filter gradient": ("conv.weight",),
    "batch norm": ("bn.statistics", "bn.eval", "bn.forward", "bn.running", "bn.group"),
    "its gradient": ("bn.parameters", "bn.input", "bn.channels_first"),
    "shortcut and ReLU": ("shortcut.", "relu.", "block.", "project."),
    "autograd": ("order.", "derive."),
    "training": ("sgd.", "loss.", "rate."),
}
NAMES = [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in BANK]


@pytest.mark.parametrize("name", NAMES)
def test_right_without_the_slip(name):
    cases = checked(BANK[name], BANK[name].mended, seed=SEED)
    assert [case.name for case in cases if not case.passed] == []


@pytest.mark.parametrize("name", SOME)
def test_named(name):
    verdict = judged(BANK[name], SEED)
    assert verdict.caught_by_public
    assert verdict.named, verdict.recipes


def test_another_name_is_not_the_right_one():
    solution = BANK["conv_forward__taps_turned"]
    assert not judged(type(solution)(**{**vars(solution), "recipes": ("no stride",)}), SEED).named


def test_every_subject_has_solutions():
    tasks = [solution.task for solution in BANK.values()]
    found = {subject: sum(task.startswith(keys) for task in tasks) for subject, keys in SUBJECTS.items()}
    assert min(found.values()) >= 6
    assert sum(found.values()) == len(tasks)


@pytest.mark.parametrize("solution", BANK.values(), ids=BANK)
def test_names_are_those_of_the_table(solution):
    known = {recipe.name for recipe in catalogue.lab_of(solution.task).task(solution.task).checks.recipes}
    assert set(solution.recipes) <= known


def test_page_says_both_runs():
    verdict = judged(BANK[SOME[2]], SEED)
    totals = {"solutions": 1, "caught": 1, "named": 1, "seed": SEED}
    page = "\n".join(table([verdict], totals, totals | {"named": 0}))
    assert "Now: 1 solutions, 1 caught, 1 named (100%)" in page
    assert "First run: 1 solutions, 1 caught, 0 named (0%)" in page
    assert page.count("\n| ") == 2  # its head, and the solution


@pytest.mark.slow
def test_all_are_caught_and_four_of_five_named():
    verdicts = [judged(solution, SEED) for solution in BANK.values()]
    assert [verdict.name for verdict in verdicts if not verdict.caught_by_public] == []
    assert sum(verdict.named for verdict in verdicts) >= 0.8 * len(verdicts)
