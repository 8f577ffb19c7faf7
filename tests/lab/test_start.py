"""The folder of a lab, and its lock: made once, read with care, and never a reason to lose work."""

from __future__ import annotations

import json

import pytest

from tinyres.errors import LabError
from tinyres.lab import catalogue, progress, start
from tinyres.lab.results import CaseResult, Report, TaskResult

LABS = catalogue.ids()


@pytest.mark.parametrize("name", LABS)
def test_start_writes_what_a_student_needs(name, tmp_path):
    lab = catalogue.lab(name)
    folder = start.start(lab, tmp_path)
    assert folder == tmp_path / f"lab{name[:2]}"
    written = {path.name for path in folder.iterdir()}
    assert written == {*start.files(lab)}
    assert {"README.md", "lab.lock"} < written
    found, lock, where = progress.find(folder)
    assert (found.id, lock.lab, where) == (name, name, folder)
    assert start.outdated(lab, lock) == ""


def test_nothing_is_overwritten(tmp_path):
    lab = catalogue.lab("2")
    folder = start.start(lab, tmp_path)
    (folder / "conv.py").write_text("my work")
    with pytest.raises(LabError, match="may hold your work"):
        start.start(lab, tmp_path)
    assert (folder / "conv.py").read_text() == "my work"


def test_labs_are_found_by_id_number_and_folder_name():
    assert {catalogue.lab(name).id for name in ("2", "02", "lab02", "02-convolution")} == {"02-convolution"}
    with pytest.raises(LabError, match="did you mean '02-convolution'"):
        catalogue.lab("02-convolutions")
    with pytest.raises(LabError, match="there is no lab '99'"):
        catalogue.lab("99")
    with pytest.raises(LabError, match="there is no task"):
        catalogue.lab_of("conv.backwards")


def test_ids_are_numbers_in_order_with_names():
    assert [name[:2] for name in LABS] == [f"{number:02}" for number in range(1, len(LABS) + 1)]
    assert len(LABS) == 7


def test_a_folder_is_found_from_inside_and_named_from_above(tmp_path):
    folder = start.start(catalogue.lab("1"), tmp_path)
    (folder / "notes").mkdir()
    assert progress.find(folder / "notes")[2] == folder
    with pytest.raises(LabError, match="go into lab01"):
        progress.find(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"lab": "01-autograd"}', '{"lab": 1, "tinyres": "", "stubs": 3}'])
def test_a_damaged_lock_costs_a_sentence(damage, tmp_path):
    folder = start.start(catalogue.lab("1"), tmp_path)
    (folder / "lab.lock").write_text(damage)
    with pytest.raises(LabError, match=r"lab\.lock cannot be read"):
        progress.find(folder)
    assert progress.started(tmp_path) == {}


def test_a_lock_of_another_version_is_told(tmp_path):
    lab = catalogue.lab("1")
    folder = start.start(lab, tmp_path)
    said = json.loads((folder / "lab.lock").read_text())
    said["stubs"] = dict.fromkeys(said["stubs"], "0" * 64)
    (folder / "lab.lock").write_text(json.dumps(said | {"tinyres": "0.0.1"}))
    assert "started with tinyres 0.0.1" in start.outdated(lab, progress.read(folder))


def test_the_lock_keeps_the_best_of_each_task(tmp_path):
    lab = catalogue.lab("1")
    key = lab.tasks[0].key

    def report(passed: int, refused: str = "") -> Report:
        cases = tuple(CaseResult(str(i), i < passed) for i in range(4))
        return Report(lab.id, "me", 1, (TaskResult(key, "", 8.0, cases),), 8.0, refused)

    lock = progress.fresh(lab, {})
    for passed in (1, 3, 2):
        lock = lock.checked(report(passed))
    assert lock.points[key] == 6.0
    assert lock.possible[key] == 8.0
    assert lock.checked(report(4, "it imports the library's kernels")).points[key] == 6.0
