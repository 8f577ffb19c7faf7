"""The course page names every lab with its minutes, and commands and lessons that are there."""

from __future__ import annotations

import re
from pathlib import Path

from tinyres.lab import catalogue

LESSONS = Path(__file__).parents[2] / "lessons"
PAGE = (LESSONS / "syllabus.rst").read_text(encoding="utf-8")
ROWS = [re.split(r"\n     - ", row.strip()) for row in PAGE.partition("For each lab")[0].split("   * - ")[2:]]


def test_a_row_for_every_lab_with_its_minutes():
    said = {re.match(r"``([\w-]+)``", row[2])[1]: int(row[3]) for row in ROWS}
    assert said == {lab.id: lab.minutes for lab in catalogue.labs()}


def test_four_weeks_in_order():
    weeks = [int(row[0]) for row in ROWS]
    assert weeks == sorted(weeks)
    assert set(weeks) == {1, 2, 3, 4}


def test_the_lessons_are_there():
    numbers = {int(path.name[:2]) for path in LESSONS.glob("[0-9][0-9]_*.py")}
    for row in ROWS:
        assert {int(n) for n in re.findall(r"\b(\d+)\b", row[1])} <= numbers


def test_what_is_handed_out_is_that_lab():
    for row in ROWS:
        number = re.search(r"export student (\d)", row[4])[1]
        assert row[2].startswith(f"``0{number}-")
