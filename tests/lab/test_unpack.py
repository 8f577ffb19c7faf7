"""Taking the files of a submission out of whatever was handed in."""

from __future__ import annotations

import io
import os
import stat
import zipfile

import pytest

from tinyres.errors import LabError
from tinyres.lab.gather import Submission
from tinyres.lab.unpack import lock_of, unpack

WANTED = ("conv.py", "columns.py")


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def clean(tmp_path):
    """Unpack, and say what is there afterwards."""

    def run(*sources):
        into = tmp_path / "clean"
        into.mkdir(exist_ok=True)
        notes = unpack(Submission("ada", sources), WANTED, into)
        assert all(path.is_file() and not path.is_symlink() for path in into.iterdir())
        return {path.name: path.read_text() for path in into.iterdir()}, notes

    return run


def test_a_zip_as_a_mac_makes_it(tmp_path, clean):
    members = {
        "lab02/conv.py": "1",
        "lab02/columns.py": "2",
        "lab02/lab.lock": "{}",
        "lab02/README.md": "no",
        "__MACOSX/lab02/._conv.py": "no",
        "lab02/.venv/lib/conv.py": "no",
        "lab02/__pycache__/conv.py": "no",
    }
    files, notes = clean(zipped(tmp_path / "ada.zip", members))
    assert files == {"conv.py": "1", "columns.py": "2", "lab.lock": "{}"}
    assert notes == []


def test_a_zip_in_a_zip_and_in_a_folder(tmp_path, clean):
    inner = zipped(tmp_path / "inner.zip", {"conv.py": "1", "columns.py": "2"}).read_bytes()
    assert clean(zipped(tmp_path / "outer.zip", {"x/inner.zip": inner}))[0] == {"conv.py": "1", "columns.py": "2"}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "my work.zip").write_bytes(inner)
    assert clean(tmp_path / "folder")[0] == {"conv.py": "1", "columns.py": "2"}


def test_loose_files_that_a_platform_renamed(tmp_path, clean):
    paths = [tmp_path / "ada_12_34_conv-1.py", tmp_path / "ada_12_35_columns.py"]
    for path in paths:
        path.write_text(path.name[-6])
    files, notes = clean(*paths)
    assert sorted(files) == ["columns.py", "conv.py"]
    assert notes == ["conv-1.py was taken for conv.py"]


@pytest.mark.parametrize("name", ["conv (1).py", "conv-2.py", "Conv.py", "conv copy.py", "conv - Copy.py"])
def test_a_renamed_file_stands_in(tmp_path, clean, name):
    files, notes = clean(zipped(tmp_path / "ada.zip", {name: "1", "columns.py": "2"}))
    assert files == {"conv.py": "1", "columns.py": "2"}
    assert notes == [f"{name} was taken for conv.py"]


def test_the_right_name_comes_first(tmp_path, clean):
    files, notes = clean(zipped(tmp_path / "ada.zip", {"conv (1).py": "old", "conv.py": "new", "columns.py": ""}))
    assert files["conv.py"] == "new"
    assert notes == []


def test_files_in_several_folders(tmp_path, clean):
    members = {"old/conv.py": "old", "old/columns.py": "old", "conv.py": "new", "columns.py": "new"}
    files, notes = clean(zipped(tmp_path / "ada.zip", members))
    assert set(files.values()) == {"new"}
    assert notes == ["files of the lab lie in several folders: . was taken, not old"]
    files, notes = clean(zipped(tmp_path / "b.zip", {"a/conv.py": "1", "b/columns.py": "2"}))
    assert files == {"conv.py": "1", "columns.py": "2"}
    assert any("was taken from" in note for note in notes)


@pytest.mark.parametrize("name", ["../conv.py", "/tmp/conv.py", "x/../../conv.py", "..\\conv.py", "C:\\conv.py"])
def test_names_that_point_outside(tmp_path, clean, name):
    files, notes = clean(zipped(tmp_path / "ada.zip", {name: "evil", "lab/columns.py": "2"}))
    assert files == {"columns.py": "2"}
    assert len(notes) == 1
    assert "points outside" in notes[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ada.zip", "clean"]


def test_links_are_not_followed(tmp_path, clean):
    secret = tmp_path / "secret.py"
    secret.write_text("secret")
    folder = tmp_path / "ada"
    (folder / "more").mkdir(parents=True)
    (folder / "conv.py").symlink_to(secret)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "columns.py").write_text("2")
    os.mkfifo(folder / "pipe.py")
    files, notes = clean(folder)
    assert files == {"columns.py": "2"}
    assert notes == ["conv.py is a link, and was not followed"]

    link = zipfile.ZipInfo("conv.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, str(secret))
        archive.writestr("columns.py", "2")
    files, notes = clean(tmp_path / "link.zip")
    assert files == {"columns.py": "2"}
    assert "link" in notes[0]


def test_a_bomb_is_not_unpacked(tmp_path, clean):
    bomb = zipped(tmp_path / "bomb.zip", {"conv.py": b"#" * (3 << 20), "data.bin": b"0" * (100 << 20)})
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(LabError, match=r"conv\.py is larger than 1 MB"):
        clean(bomb)


def broken(path, data):
    path.write_bytes(data)
    return path


def test_what_cannot_be_opened_is_said(tmp_path, clean):
    whole = zipped(tmp_path / "whole.zip", {"conv.py": "x = 1\n" * 1000, "columns.py": "2"}).read_bytes()
    middle = whole[:40] + bytes(60) + whole[100:]
    for name, data, said in [
        ("empty.zip", b"", "damaged or no zip"),
        ("text.zip", b"not a zip at all", "damaged or no zip"),
        ("cut.zip", whole[: len(whole) // 2], "damaged or no zip"),
        ("middle.zip", middle, "cannot be read"),
        ("ada.rar", b"Rar!", "is no zip"),
    ]:
        with pytest.raises(LabError, match=said):
            clean(broken(tmp_path / name, data))
    with pytest.raises(LabError, match=r"none of conv.py, columns.py .*found: notebook.ipynb"):
        clean(zipped(tmp_path / "other.zip", {"notebook.ipynb": "{}"}))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for k in range(5001):
            archive.writestr(f"{k}.py", "")
    with pytest.raises(LabError, match="5001 entries"):
        clean(broken(tmp_path / "many.zip", many.getvalue()))


def test_encrypted(tmp_path, clean):
    data = bytearray(zipped(tmp_path / "whole.zip", {"conv.py": "1", "columns.py": "2"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags in a header and in the directory
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 1)
    with pytest.raises(LabError, match="encrypted"):
        clean(broken(tmp_path / "secret.zip", bytes(data)))


def test_the_lock_is_found_or_none(tmp_path):
    path = zipped(tmp_path / "ada.zip", {"x/lab.lock": "outer", "x/y/lab.lock": "inner"})
    assert lock_of(Submission("ada", (path,))) == b"outer"
    assert lock_of(Submission("bob", (broken(tmp_path / "bob.zip", b""),))) is None
