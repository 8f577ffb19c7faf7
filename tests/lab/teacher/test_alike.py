"""Lines that equal the library's, functions that equal each other, records of reports."""

from __future__ import annotations

import json

import pytest

from tinyres.errors import LabError
from tinyres.lab import alike, catalogue, start, stored

ONE = '''
def conv2d(x, w, *, stride, padding, out=None):
    """Mine."""
    total = 0.0
    for r in range(w.shape[0]):
        for s in range(w.shape[1]):
            total = total + x[:, r, s] @ w[r, s]  # add it up
    return total
'''
OTHER = """
import numpy as np

def conv2d(images, filters, *, stride, padding, out=None):
    result: float = 0.0
    for row in range(filters.shape[0]):
        for column in range(filters.shape[1]):
            result = result + images[:, row, column] @ filters[row, column]
    return result
"""


@pytest.fixture(scope="module")
def real():
    return catalogue.lab("02-convolution")


@pytest.fixture(scope="module")
def where(real):
    """File and function of the lab's convolution."""
    task = next(task for task in real.tasks if task.function == "conv2d")
    return task.file


def marks(real, where, text):
    return alike.prints(real, {where: text})


def test_names_and_comments_do_not_matter(real, where):
    assert list(marks(real, where, ONE)) == [f"{where}: conv2d"]
    assert marks(real, where, ONE) == marks(real, where, OTHER)


@pytest.mark.parametrize(("old", "new"), [("0.0", "0"), ("x[:, r, s]", "x[:, s, r]"), ("range(w.shape[1])", "w")])
def test_what_is_computed_does(real, where, old, new):
    assert marks(real, where, ONE) != marks(real, where, ONE.replace(old, new))


@pytest.mark.parametrize(
    "text", ["", "def conv2d(:", "\0", f"x = {'(' * 5000}", "def conv2d(x):\n    return x", f"x = {'-' * 20_000}1"]
)
def test_what_is_short_missing_or_no_python_has_none(real, where, text):
    assert marks(real, where, text) == {}


def test_stub_and_solution(real):
    stubs, solutions = start.stubs(real), start.solutions(real)
    assert all(equal == 0 for equal, _ in alike.copied(real, stubs).values())
    copied = alike.copied(real, solutions)
    assert all(equal == total for equal, total in copied.values())
    assert sum(total for _, total in copied.values()) > 10
    assert alike.copied(real, {}) == {name: (0, total) for name, (_, total) in copied.items()}


def test_groups():
    a, b = {"conv.py: f": "1"}, {"conv.py: f": "2"}
    known = {"ada": a, "bob": b, "cem": a, "dan": b, "eve": a, "fay": {"conv.py: f": "3"}}
    assert alike.groups(known) == [("conv.py: f", ("ada", "cem", "eve")), ("conv.py: f", ("bob", "dan"))]


def test_records(reports, tmp_path):
    for report in reports:
        stored.write(report, tmp_path / "results" / "x.json")
        assert stored.read(tmp_path / "results" / "x.json") == report
        assert json.loads((tmp_path / "results" / "x.json").read_text())["points"] == report.points


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": 99}', '{"form": 1, "tasks": [{}], "notes": []}'])
def test_a_damaged_record_is_said(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(LabError, match="anew"):
        stored.read(tmp_path / "x.json")
