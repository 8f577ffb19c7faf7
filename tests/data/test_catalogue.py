"""Data by name, and what is not one; the digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data import load, locate, names
from tinyres.errors import ConfigError, DataError


def test_names() -> None:
    assert names() == ["cifar10", "cifar100", "digits"]


def test_digits() -> None:
    from sklearn.datasets import load_digits

    data = load("digits")
    assert data.train.images.shape == (1437, 8, 8, 1)
    assert data.test.images.shape == (360, 8, 8, 1)
    assert (data.scale, data.classes) == (1 / 16, tuple("0123456789"))
    assert data.train.images.max() == 16
    bunch = load_digits()
    whole = {
        (image.astype(np.uint8).tobytes(), int(label)) for image, label in zip(bunch.images, bunch.target, strict=True)
    }
    seen = [
        (image.tobytes(), int(label))
        for part in (data.train, data.test)
        for image, label in zip(part.images, part.labels, strict=True)
    ]
    assert len(seen) == 1797
    assert set(seen) == whole
    assert np.bincount(data.test.labels).min() >= 25  # every class is tested
    assert np.array_equal(load("digits").test.images, data.test.images)


@pytest.mark.parametrize(("name", "near"), [("digit", "digits"), ("cifar-10", "cifar10"), ("CIFAR100", "cifar100")])
def test_an_unknown_name_gets_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown data '{name}'.*did you mean '{near}'\?$"):
        load(name)


def test_an_unknown_name_like_no_other() -> None:
    with pytest.raises(ConfigError, match=r"known: cifar10, cifar100, digits$"):
        load("imagenet")


@pytest.mark.parametrize("path", ["./images", "some/where", "~/no-such-folder-of-mine", Path("images")])
def test_a_folder_that_does_not_exist(path: Any) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*: a folder of images holds train/<class>/"):
        load(path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file.png").touch()
    with pytest.raises(DataError, match=r"file\.png' is a file: a folder of images holds"):
        load(tmp_path / "file.png")


def test_root_where_none_applies(tmp_path: Path) -> None:
    for name in ("digits", tmp_path):
        with pytest.raises(ConfigError, match=r"root goes with cifar10 or cifar100, not with"):
            load(name, root=tmp_path)


def test_a_cifar_folder_in_place_of_a_name(make_cifar: Any) -> None:
    folder = make_cifar("cifar10", "python").folder
    for path in (folder, folder.parent):
        with pytest.raises(ConfigError, match="is cifar10: load it by that name, with this folder as root"):
            load(path)


def test_locate(make_cifar: Any, cache: Path) -> None:
    made = make_cifar("cifar100", "binary")
    assert locate("cifar100") is None
    assert locate("cifar100", made.folder.parent) == made.folder
    assert locate("cifar10", made.folder.parent) is None
    archive = made.archive(cache / "cifar-100-binary.tar.gz")
    assert locate("cifar100") == archive
