"""The bank of wrong solutions: without its slip each is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_bank import bank

from tinyres.lab import catalogue, start
from tinyres.lab.check import check

BANK = {solution.name: solution for solution in bank()}
SOME = ("conv_forward__left_is_top", "bn_input__count_of_images", "sgd_update__velocity_averaged")


def checked(solution, text, hidden=False):
    lab = catalogue.lab_of(solution.task)
    files = {**start.stubs(lab), lab.task(solution.task).file: text}
    return check(lab, Path(), seed=1, hidden=hidden, keys=[solution.task], text=files)


def passed(report):
    return [case.passed for task in report.tasks for case in task.cases]


@pytest.mark.parametrize(
    "name", [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in BANK]
)
def test_right_without_the_slip(name):
    assert all(passed(checked(BANK[name], BANK[name].mended, hidden=True)))
