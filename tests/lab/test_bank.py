"""The bank of wrong solutions: each is right without its slip, caught with it, and most are told what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab_bank import BANK as FOLDER
from lab_bank import HELD_OUT, bank, checked, judged, line, page, table

from tinyres.lab import catalogue

BANK = {solution.name: solution for solution in bank()}
SECOND = {(folder, solution.name): solution for folder in HELD_OUT for solution in bank(FOLDER / folder)}
RECORD = json.loads(
    (Path(__file__).parents[2] / "benchmarks" / "results" / "lab_bank.json").read_text(encoding="utf-8")
)
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


@pytest.mark.parametrize("solution", [*BANK.values(), *SECOND.values()], ids=[*BANK, *map("-".join, SECOND)])
def test_names_are_those_of_the_table(solution):
    known = {recipe.name for recipe in catalogue.lab_of(solution.task).task(solution.task).checks.recipes}
    assert set(solution.recipes) <= known


def test_table_has_a_row_for_each():
    verdict = judged(BANK[SOME[2]], SEED)
    head, _, row = table([verdict])
    assert head.count("|") == row.count("|")
    assert row.endswith("| yes |")
    missed = type(verdict)(**{**vars(verdict), "caught": False, "named": False})
    assert list(table([missed]))[2].endswith("| not caught |")


def test_page_says_which_runs_are_independent():
    said = "\n".join(page(RECORD))
    assert "First run, independent: 72 solutions, 71 caught, 54 named (75%)" in said
    assert "Now, not independent: 72 solutions" in said
    assert "First run, independent: 36 solutions, 33 caught, 25 named (69%); seed 20261123" in said
    assert "First run, independent: 36 solutions, 36 caught, 29 named (81%); seed 20261124" in said
    rows = [row for row in said.splitlines() if row.startswith(("| first |", "| held_out"))]
    assert rows[0].startswith("| first | 72 | 2026-11-22T02:34 | 71 caught, 54 named (75%) | ")
    assert rows[1].startswith("| held_out | 36 | 2026-11-22T03:14 | 33 caught, 25 named (69%) | ")
    assert rows[2].startswith("| held_out_2 | 36 | 2026-11-22T03:49 | 36 caught, 29 named (81%) | ")
    missed = [name for both in RECORD["held_out"].values() for name in both["first_run"]["not_caught"]]
    assert said.count("| not caught |") == len(missed)
    assert "not known yet" not in said
    assert "11 of its slips are in an older bank too" in said.replace("\n", " ")
    assert "14 of the 25 others" in said.replace("\n", " ")
    assert "15 of its slips are in an older bank too" in said.replace("\n", " ")
    assert "15 of the 21 others" in said.replace("\n", " ")
    assert line(RECORD["first_run"], "Then").endswith("; 2026-11-22T02:34")


@pytest.mark.parametrize("folder", HELD_OUT)
def test_held_out_bank_is_that_of_its_first_run(folder):
    first = RECORD["held_out"][folder]["first_run"]
    assert first["seed"] == HELD_OUT[folder]
    assert [(verdict["name"], verdict["task"], verdict["slip"]) for verdict in first["verdicts"]] == [
        (solution.name, solution.task, solution.slip) for solution in bank(FOLDER / folder)
    ]


@pytest.mark.slow
def test_all_are_caught_and_four_of_five_named():
    verdicts = [judged(solution, SEED) for solution in BANK.values()]
    assert [verdict.name for verdict in verdicts if not verdict.caught_by_public] == []
    assert sum(verdict.named for verdict in verdicts) >= 0.8 * len(verdicts)


@pytest.mark.slow
@pytest.mark.parametrize("place", SECOND, ids="-".join)
def test_held_out_is_right_without_the_slip(place):
    cases = checked(SECOND[place], SECOND[place].mended, seed=SEED)
    assert [case.name for case in cases if not case.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("folder", HELD_OUT)
def test_held_out_is_caught_but_for_what_its_first_run_missed(folder):
    missed = {solution.name for solution in bank(FOLDER / folder) if not judged(solution, SEED).caught_by_public}
    assert missed <= set(RECORD["held_out"][folder]["first_run"]["not_caught"])
