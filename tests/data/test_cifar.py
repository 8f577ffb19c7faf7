"""CIFAR in its four official forms, unpacked and archived, whole and damaged."""

from __future__ import annotations

import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data import load
from tinyres.errors import DataError

FOUR = [(name, form) for name in ("cifar10", "cifar100") for form in ("python", "binary")]
four = pytest.mark.parametrize(("name", "form"), FOUR)
Make = Callable[..., Any]


def archive_name(name: str, form: str) -> str:
    return f"cifar-{name.removeprefix('cifar')}-{form}.tar.gz"


def same(data: Any, made: Any) -> bool:
    train, test = list(made.images)[:-1], list(made.images)[-1]
    return (
        np.array_equal(data.train.images, np.concatenate([made.images[file] for file in train]))
        and np.array_equal(data.test.images, made.images[test])
        and data.train.labels.tolist() == [label for file in train for label in made.labels[file]]
        and data.test.labels.tolist() == made.labels[test]
    )


@four
def test_whatever_root_is_given(make_cifar: Make, tmp_path: Path, name: str, form: str) -> None:
    made = make_cifar(name, form)
    archive = made.archive(tmp_path / "archives" / archive_name(name, form))
    renamed = tmp_path / "renamed"
    renamed.symlink_to(made.folder)
    for root in (made.folder, made.folder.parent, renamed, archive, archive.parent, str(archive.parent)):
        data = load(name, root=root)
        assert same(data, made)
        assert data.train.images.flags.c_contiguous
        assert (data.name, data.scale, data.classes[:2]) == (name, 1 / 255, ("class0", "class1"))


@pytest.mark.parametrize("mode", ["w", "w:bz2", "w:xz"])
def test_an_archive_packed_otherwise(make_cifar: Make, tmp_path: Path, mode: str) -> None:
    made = make_cifar("cifar10", "python")
    made.archive(tmp_path / "a" / "cifar-10-python.tar.gz", mode)
    assert same(load("cifar10", tmp_path / "a"), made)


def test_a_folder_comes_before_an_archive(make_cifar: Make) -> None:
    made = make_cifar("cifar10", "python")
    (made.folder.parent / "cifar-10-python.tar.gz").write_bytes(b"damaged")
    assert same(load("cifar10", made.folder.parent), made)


def test_the_sets_are_not_mixed_up(make_cifar: Make) -> None:
    ten, hundred = make_cifar("cifar10", "python"), make_cifar("cifar100", "python")
    assert same(load("cifar10", ten.folder.parent), ten)
    assert same(load("cifar100", ten.folder.parent), hundred)
    with pytest.raises(DataError, match="holds no cifar10"):
        load("cifar10", hundred.folder)


@four
def test_without_class_names(make_cifar: Make, name: str, form: str) -> None:
    made = make_cifar(name, form)
    next(file for file in made.folder.iterdir() if "meta" in file.name or "names" in file.name).unlink()
    classes = load(name, made.folder).classes
    assert classes[:2] == (("airplane", "automobile") if name == "cifar10" else ("0", "1"))


def test_class_names_of_another_set(make_cifar: Make) -> None:
    made = make_cifar("cifar10", "python")
    meta = made.folder / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": ["a"] * 9}))
    with pytest.raises(DataError, match=r"batches.meta names 9 classes where there are 10"):
        load("cifar10", made.folder)
    meta.write_bytes(pickle.dumps({"names": ["a"] * 10}))
    with pytest.raises(DataError, match=r"batches.meta has no list 'label_names'"):
        load("cifar10", made.folder)


@four
def test_every_file_is_needed(make_cifar: Make, tmp_path: Path, name: str, form: str) -> None:
    made = make_cifar(name, form)
    for file in made.images:
        content = (made.folder / file).read_bytes()
        (made.folder / file).unlink()
        archive = made.archive(tmp_path / "archives" / archive_name(name, form))
        for root in (made.folder, archive):
            with pytest.raises(DataError, match=rf"{root} has no file {file}: take it from the official archive"):
                load(name, root)
        (made.folder / file).write_bytes(content)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"holds no cifar10: expected there the folder cifar-10-batches-py or cifar-10-batches-bin, "
        r"or the archive cifar-10-python.tar.gz or cifar-10-binary.tar.gz",
    ):
        load("cifar10", tmp_path)
    with pytest.raises(DataError, match=r"there is no folder .*/nowhere"):
        load("cifar10", tmp_path / "nowhere")


@four
def test_a_short_batch_is_fine_and_a_cut_one_is_not(make_cifar: Make, name: str, form: str) -> None:
    made = make_cifar(name, form)  # batches of three images are short already
    assert same(load(name, made.folder), made)
    file = made.folder / next(iter(made.images))
    content = file.read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(DataError, match=file.name):
            load(name, made.folder)


@four
def test_a_label_out_of_range(make_cifar: Make, name: str, form: str) -> None:
    made = make_cifar(name, form)
    file = list(made.images)[-1]
    path = made.folder / file
    content = bytearray(path.read_bytes())
    if form == "binary":
        content[len(content) // 2 + (name == "cifar100")] = 200
    else:
        position = content.index(bytes([ord("]"), ord("(")])) + 5  # ]( K first K second
        content[position] = 200
    path.write_bytes(bytes(content))
    top = 9 if name == "cifar10" else 99
    with pytest.raises(DataError, match=rf"{file}: label 200 at index 1 is out of range, labels are from 0 to {top}"):
        load(name, made.folder)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"labels": [1]}, "has no entry 'data', only 'labels'"),
        ({}, "has no entry 'data', only none at all"),
        ({"data": np.zeros((1, 3072), np.uint8)}, "has no entry 'labels', only 'data'"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "has 2 images and 1 labels"),
        ({"data": np.zeros((0, 3072), np.uint8), "labels": np.zeros(0, int)}, "holds no image"),
        ({"data": np.zeros((1, 3071), np.uint8), "labels": [1]}, r"must be uint8 \[N, 3072\], it is uint8 \[1, 3071\]"),
        ({"data": np.zeros((1, 3072), np.int64), "labels": [1]}, r"it is int64 \[1, 3072\]"),
        ({"data": np.zeros(3072, np.uint8), "labels": [1]}, r"it is uint8 \[3072\]"),
        ({"data": [[0] * 3072], "labels": [1]}, "it is list"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]}, "'labels' must be a list of integers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [[1], [1, 2]]}, "'labels' must be a list of integers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [True]}, "'labels' must be a list of integers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [1 << 70]}, "'labels' must be a list of integers"),
        ([1, 2], "a list where a dictionary is expected"),
    ],
)
def test_a_batch_that_is_none(make_cifar: Make, batch: Any, message: str) -> None:
    made = make_cifar("cifar10", "python")
    (made.folder / "data_batch_2").write_bytes(pickle.dumps(batch, 4))
    with pytest.raises(DataError, match=f"data_batch_2.*{message}"):
        load("cifar10", made.folder)


def test_a_hostile_batch_is_not_run(make_cifar: Make, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "mark"),)

    made = make_cifar("cifar10", "python")
    (made.folder / "data_batch_4").write_bytes(pickle.dumps({"data": Hostile(), "labels": []}, 2))
    archive = made.archive(tmp_path / "a" / "cifar-10-python.tar.gz")
    for root in (made.folder, archive):
        with pytest.raises(DataError, match=r"data_batch_4.*mkdir, which this reader never runs"):
            load("cifar10", root)
    assert not (tmp_path / "mark").exists()


@four
def test_a_truncated_archive(make_cifar: Make, tmp_path: Path, name: str, form: str) -> None:
    archive = make_cifar(name, form).archive(tmp_path / "a" / archive_name(name, form))
    content = archive.read_bytes()
    for length in (0, 10, len(content) // 3, len(content) - 100):
        archive.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"is cut off or damaged|has no file"):
            load(name, archive)


def test_a_damaged_archive(make_cifar: Make, tmp_path: Path) -> None:
    archive = make_cifar("cifar10", "binary").archive(tmp_path / "a" / "cifar-10-binary.tar.gz")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"is cut off or damaged .*: remove it and fetch it again"):
        load("cifar10", archive)


def test_an_archive_writes_nothing(make_cifar: Make, tmp_path: Path) -> None:
    """Members that would climb out of a folder, links and directories in place of files: none touches the disk."""
    made = make_cifar("cifar10", "python")
    archive = tmp_path / "a" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(made.folder / "test_batch", "../../evil")
        link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
        for file in list(made.images)[1:]:
            tar.add(made.folder / file, f"./cifar-10-batches-py/{file}")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="has no file data_batch_1"):
        load("cifar10", archive)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_of_absurd_size_is_refused(make_cifar: Make, tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w") as tar:
        huge = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        huge.size = 1 << 40
        tar.fileobj.write(huge.tobuf())  # type: ignore[union-attr]
    with pytest.raises(DataError, match="data_batch_1 claims to have 1099511627776 bytes"):
        load("cifar10", archive)
