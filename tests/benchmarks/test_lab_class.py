"""benchmarks/lab_class.py: the classes it makes, and a whole quick run through the command."""

from __future__ import annotations

import ast
import itertools
import json

import pytest
from lab_class import HOSTILE, Arguments, make_class, planted, slipped

from tinyres.lab import catalogue, gather, start


@pytest.fixture(scope="module")
def lab():
    return catalogue.lab("02")


def test_a_class_of_forty(lab, tmp_path):
    made = make_class(lab, tmp_path, Arguments())
    found, _ = gather.gather([tmp_path], {source.file for source in lab.sources})
    assert sorted(submission.name for submission in found) == sorted(made)
    assert len(made) == 40
    assert set(made.values()) == {"good", "stub", "half", "mistake", "slip", "hostile", "broken"}


def test_slips_change_one_line_of_a_solution(lab):
    good = start.solutions(lab)
    for files in itertools.islice(slipped(lab), 10):
        lines = [pair for n in good for pair in zip(good[n].splitlines(), files[n].splitlines(), strict=True)]
        assert sum(one != other for one, other in lines) == 1


def test_what_is_planted_is_python(lab):
    for line in HOSTILE.values():
        ((_, text),) = planted(lab, line).items()
        assert line in text
        ast.parse(text)


@pytest.mark.slow
def test_a_quick_run(script, tmp_path):
    done = script("lab_class.py", "--quick", "--out", tmp_path / "x.json")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((tmp_path / "x.json").read_text())
    assert said["lost"] == []
    assert said["left_over"] == 0
    assert said["kinds"]["good"]["percent"] > 90  # the points for speed are those of a machine under load
    assert said["kinds"]["hostile"]["percent"] == said["kinds"]["broken"]["percent"] == 0
    assert said["seen"]["mistake"] == said["named"]["mistake"] == 1
    assert said["versions"]["numpy"]
