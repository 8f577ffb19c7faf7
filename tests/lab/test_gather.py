"""Finding the submissions of a class by their names, as people and learning platforms leave them."""

from __future__ import annotations

import pytest

from tinyres.errors import LabError
from tinyres.lab.gather import file_of, gather

WANTED = ("conv.py", "columns.py")


@pytest.fixture
def put(tmp_path):
    def write(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return write


def names(found):
    return [submission.name for submission in found[0]]


def test_a_folder_of_folders_and_zips(put):
    found = gather([put("ada/conv.py", "bob/lab02/conv.py", "Çelik Ünal/conv.py", "dan.zip", "eve/notes.txt")], WANTED)
    assert names(found) == ["ada", "bob", "dan", "eve", "Çelik Ünal"]
    assert found[1] == []


def test_one_submission_is_one(put):
    folder = put("ada/conv.py", "ada/more/columns.py", "bob/lab02/lab.lock", "cem.zip")
    assert names(gather([folder / "ada"], WANTED)) == ["ada"]
    assert names(gather([folder / "bob"], WANTED)) == ["bob"]
    assert names(gather([folder / "ada", folder / "cem.zip"], WANTED)) == ["ada", "cem"]


def test_a_class_of_one(put):
    assert names(gather([put("class/ada/conv.py") / "class"], WANTED)) == ["ada"]


def test_canvas(put):
    folder = put("lovelaceada_1234_999_conv.py", "lovelaceada_1234_998_columns-1.py", "turing_LATE_77_5_lab02.zip")
    submissions, _ = gather([folder], WANTED)
    assert [s.name for s in submissions] == ["lovelaceada_1234", "turing_77"]
    assert [file_of(path) for path in submissions[0].sources] == ["columns-1.py", "conv.py"]


def test_moodle(put):
    folder = put(
        "Ada Lovelace_1234_assignsubmission_file_/conv.py",
        "Alan M. Turing_77_assignsubmission_file_lab02.zip",
        "José_5_assignsubmission_file/conv.py",
    )
    assert names(gather([folder], WANTED)) == ["Ada Lovelace_1234", "Alan M. Turing_77", "José_5"]


def test_two_of_a_name_are_two(put):
    folder = put("monday/ada/conv.py", "tuesday/ada.zip", "wednesday/Ada/conv.py")
    targets = [folder / day for day in ("monday", "tuesday", "wednesday")]
    assert names(gather(targets, WANTED)) == ["ada", "ada-2", "Ada-3"]


def test_names_are_good_as_file_names(put):
    folder = put("a?b:c*|d/conv.py", f"{'é' * 100}/conv.py", "-rf $(x)/conv.py")
    found = names(gather([folder], WANTED))
    assert "a_b_c__d" in found
    assert all(len(name.encode()) <= 120 and not set(name) & set('/\\:*?"<>|$') for name in found)


def test_nobody_is_lost_and_what_is_left_aside_is_said(put):
    folder = put("ada.rar", "bob.tar.gz", "grades.xlsx", ".DS_Store", "__MACOSX/ada/conv.py")
    (folder / "link").symlink_to(folder / "ada.rar")
    found, notes = gather([folder], WANTED)
    assert [s.name for s in found] == ["ada", "bob.tar"]
    assert [note.split()[0] for note in notes] == ["grades.xlsx", "link"]


def test_nothing_there(put, tmp_path):
    with pytest.raises(LabError, match="there is no"):
        gather([tmp_path / "absent"], WANTED)
    with pytest.raises(LabError, match="holds no submission"):
        gather([put("empty/readme.txt") / "empty"], WANTED)
