"""`tinyres lab list`, `start`, `hint` and `guide`, as a person uses them and misuses them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyres.cli import main
from tinyres.lab import catalogue, hints


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_list_names_every_lab_and_task(here, capsys):
    assert main(["lab", "list"]) == 0
    said = capsys.readouterr().out
    for lab in catalogue.labs():
        assert f"{lab.id}" in said
        for task in lab.tasks:
            assert task.key in said
            assert task.title in said


def test_the_list_shows_what_was_begun(here, capsys):
    assert main(["lab", "start", "3"]) == 0
    assert "cd lab03 && tinyres lab check" in capsys.readouterr().out
    main(["lab", "list"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith("begun")]
    assert [line.split()[0] for line in lines] == ["03-convolution-gradients"]


def test_hints_come_one_by_one_and_end(here, capsys):
    main(["lab", "start", "2"])
    lab = catalogue.lab("2")
    key = lab.tasks[0].key
    capsys.readouterr()
    for number in range(len(hints.read(lab)[key])):
        assert main(["lab", "hint", key, "--lab", "lab02"]) == 0
        assert f"hint {number + 1} of" in capsys.readouterr().out
    main(["lab", "hint", key, "--lab", "lab02"])
    assert "those were all" in capsys.readouterr().out
    main(["lab", "hint", key, "--lab", "lab02", "--again"])
    assert hints.read(lab)[key][0] in capsys.readouterr().out


@pytest.mark.parametrize("lab", catalogue.labs(), ids=lambda lab: lab.id)
def test_every_task_has_one_to_three_hints_and_every_hint_a_task(lab):
    known = hints.read(lab)
    assert set(known) == {task.key for task in lab.tasks}
    assert all(1 <= len(found) <= hints.MOST for found in known.values())


@pytest.mark.parametrize("lab", catalogue.labs(), ids=lambda lab: lab.id)
def test_the_guide_names_every_task_and_mistake(lab, capsys):
    assert main(["lab", "guide", lab.id]) == 0
    said = capsys.readouterr().out
    for task in lab.tasks:
        assert f"| {task.key} |" in said
        for recipe in task.checks.recipes:
            assert f"| {task.key} | {recipe.name} | {recipe.sentence} |" in said


@pytest.mark.parametrize("lab", catalogue.labs(), ids=lambda lab: lab.id)
def test_the_readme_names_every_task_with_its_points(lab):
    said = (lab.folder / "README.md").read_text(encoding="utf-8")
    for task in lab.tasks:
        rows = [line for line in said.splitlines() if line.startswith("|") and task.key in line]
        assert any(f"{task.points:g}" in row for row in rows), f"{lab.id}: README has no row for {task.key}"
    assert f"{lab.minutes} minutes" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["start", "lab99"], "there is no lab 'lab99'"),
        (["hint", "conv.forward"], "is not the folder of a lab"),
        (["guide", "conv"], "there is no lab 'conv'"),
    ],
)
def test_mistakes_cost_one_sentence(here, capsys, argv, said):
    assert main(["lab", *argv]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert said in error


def test_a_hint_goes_on_in_the_next_lines(tmp_path):
    (tmp_path / "hints.md").write_text("# Hints\n\n## a.b\n\n1. one\n   and on\n2. two\n\n## c.d\n1. three\n")
    assert hints.read(replace(catalogue.lab("1"), folder=tmp_path)) == {"a.b": ["one\nand on", "two"], "c.d": ["three"]}


def test_a_hint_for_a_task_of_another_lab(here, capsys):
    main(["lab", "start", "1"])
    capsys.readouterr()
    assert main(["lab", "hint", "nothing.like.it", "--lab", "lab01"]) == 1
    assert "there is no task" in capsys.readouterr().err


def test_starting_twice_is_refused(here, capsys):
    assert main(["lab", "start", "1"]) == 0
    assert main(["lab", "start", "1"]) == 1
    assert "may hold your work" in capsys.readouterr().err
