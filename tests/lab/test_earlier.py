"""Whose files `--mine` takes, and what a check says where one of a lab's own files is gone."""

from __future__ import annotations

import shutil

import pytest

from tinyres.errors import ConfigError, LabError
from tinyres.lab import catalogue, check, earlier, progress, start


@pytest.fixture
def folders(tmp_path):
    """Labs 2 and 3 side by side, with the library's solutions."""
    homes = {}
    for name in ("2", "3"):
        lab = catalogue.lab(name)
        homes[name] = start.start(lab, tmp_path)
        for file, text in start.solutions(lab).items():
            (homes[name] / file).write_text(text, encoding="utf-8")
    return homes


def test_copies_of_a_lab_come_after_its_folder(folders):
    for copy in ("a-copy", "lab02-old", "zz"):
        shutil.copytree(folders["2"], folders["2"].parent / copy)
    found = earlier.files(catalogue.lab("3"), folders["3"])
    assert {path.parent.name for path in found.values()} == {"lab02"}
    lock = progress.read(folders["2"]).hinted("conv.pad", 2)
    lock.save(folders["2"])
    assert progress.started(folders["2"].parent)["02-convolution"] == lock


def test_a_copy_is_better_than_nothing(folders):
    folders["2"].rename(folders["2"].parent / "convolution")
    found = earlier.files(catalogue.lab("3"), folders["3"])
    assert {path.parent.name for path in found.values()} == {"convolution"}
    shutil.rmtree(folders["2"].parent / "convolution")
    with pytest.raises(LabError, match="lies no folder of a lab before"):
        earlier.files(catalogue.lab("3"), folders["3"])


def test_a_file_that_is_gone_is_no_theft(folders):
    (folders["2"] / "columns.py").unlink()
    lab = catalogue.lab("2")
    report = check.check(lab, folders["2"], seed=1, keys=("conv.pad", "conv.forward"))
    assert not report.refused
    pad, forward = report.tasks
    assert pad.cases[0].problem == "columns.py is missing: it is not in the folder"
    assert "conv.py, line" in forward.cases[0].problem
    assert "columns.py is missing (or no readable text)" in forward.cases[0].problem


def test_a_task_of_another_lab_is_told_so():
    with pytest.raises(ConfigError, match="that is one of 03-convolution-gradients, in another folder"):
        check.chosen(catalogue.lab("2"), ("conv.weight",))


def test_points_for_speed_stay_possible(folders):
    lock, lab = progress.read(folders["2"]), catalogue.lab("2")
    plain = check.check(lab, folders["2"], seed=1, keys=("conv.forward",))
    timed = check.check(lab, folders["2"], seed=1, keys=("conv.forward",), timed=True)
    after = lock.checked(timed).checked(plain)
    assert after.possible["conv.forward"] == 7
    assert after.points["conv.forward"] <= 7
