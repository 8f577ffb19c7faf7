"""A folder of images: what is read, what is cached, and what is refused with the name of the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data import folder as folder_module
from tinyres.data import load
from tinyres.errors import DataError

Encode = Callable[..., bytes]
RANDOM = np.random.default_rng(0)
Tree = dict[str, np.ndarray]


def picture(channels: int = 3, height: int = 6, width: int = 5) -> np.ndarray:
    shape = (height, width, 3) if channels == 3 else (height, width)
    return RANDOM.integers(0, 256, shape, np.uint8)


@pytest.fixture
def tree(tmp_path: Path, png: Encode) -> tuple[Path, Tree]:
    """Two classes, two training images and one test image of each."""
    root = tmp_path / "pets"
    made = {}
    for part, count in (("train", 2), ("test", 1)):
        for kind in ("dog", "cat"):
            for i in range(count):
                file = root / part / kind / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                made[f"{part}/{kind}/{i}.png"] = picture()
                file.write_bytes(png(made[f"{part}/{kind}/{i}.png"]))
    return root, made


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded."""
    names: list[str] = []
    pixels = folder_module._pixels

    def watched(file: Path) -> Any:
        names.append(file.name)
        return pixels(file)

    monkeypatch.setattr(folder_module, "_pixels", watched)
    return names


def test_a_folder(tree: tuple[Path, Tree], capfd: pytest.CaptureFixture[str]) -> None:
    root, made = tree
    data = load(root)
    assert (data.name, data.classes, data.scale) == ("pets", ("cat", "dog"), 1 / 255)
    order = [f"train/{kind}/{i}.png" for kind in ("cat", "dog") for i in range(2)]
    assert np.array_equal(data.train.images, np.stack([made[name] for name in order]))
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(data.test.images, np.stack([made["test/cat/0.png"], made["test/dog/0.png"]]))
    assert data.test.labels.tolist() == [0, 1]
    assert capfd.readouterr() == ("", "")


def test_all_three_suffixes_and_nothing_else(tree: tuple[Path, Tree], png: Encode) -> None:
    root, _ = tree
    cat = root / "train" / "cat"
    (cat / "a.JPG").write_bytes(png(picture(), "JPEG"))
    (cat / "b.jpeg").write_bytes(png(picture(), "JPEG"))
    (cat / "notes.txt").write_text("not an image")
    (cat / "._a.jpg").write_bytes(b"a file of the system")
    (root / "train" / ".hidden").mkdir()
    assert len(load(root).train) == 6


def test_the_second_time_comes_from_the_cache(tree: tuple[Path, Tree], decoded: list[str]) -> None:
    root, _ = tree
    first = load(root)
    assert (root / ".tinyres-cache.npz").exists()
    assert len(decoded) > 0
    decoded.clear()
    second = load(root)
    assert decoded == []
    assert np.array_equal(first.train.images, second.train.images)
    assert np.array_equal(first.test.images, second.test.images)


@pytest.mark.parametrize("change", ["touched", "rewritten", "added", "removed", "renamed", "moved to another class"])
def test_a_change_invalidates_the_cache(tree: tuple[Path, Tree], decoded: list[str], png: Encode, change: str) -> None:
    root, _ = tree
    load(root)
    decoded.clear()
    file = root / "train" / "cat" / "1.png"
    new = picture()
    if change == "touched":
        os.utime(file, ns=(1, 1))
    elif change == "rewritten":
        file.write_bytes(png(new) + b"x")
    elif change == "added":
        (file.parent / "2.png").write_bytes(png(new))
    elif change == "removed":
        file.unlink()
    elif change == "renamed":
        file.rename(file.with_name("5.png"))
    else:
        file.rename(root / "train" / "dog" / "7.png")
    data = load(root)
    assert decoded
    assert len(data.train) == {"added": 5, "removed": 3}.get(change, 4)
    if change == "rewritten":
        assert np.array_equal(data.train.images[1], new)
    if change == "moved to another class":
        assert data.train.labels.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_cache_is_made_again(tree: tuple[Path, Tree], decoded: list[str], damage: bytes | None) -> None:
    root, _ = tree
    first = load(root)
    decoded.clear()
    cache = root / ".tinyres-cache.npz"
    cache.write_bytes(cache.read_bytes()[:-200] if damage is None else damage)
    assert np.array_equal(load(root).train.images, first.train.images)
    assert decoded
    decoded.clear()
    load(root)
    assert decoded == []


def test_an_unwritable_folder_is_cached_elsewhere(tree: tuple[Path, Tree], decoded: list[str], cache: Path) -> None:
    root, _ = tree
    (root / ".tinyres-cache.npz").mkdir()  # no file can take its place, even for an administrator
    first = load(root)
    assert len(list((cache / "folders").iterdir())) == 1
    assert sorted(entry.name for entry in root.iterdir()) == [".tinyres-cache.npz", "test", "train"]
    decoded.clear()
    assert np.array_equal(load(root).train.images, first.train.images)
    assert decoded == []


def test_without_any_place_for_a_cache(tree: tuple[Path, Tree], decoded: list[str], cache: Path) -> None:
    root, _ = tree
    (root / ".tinyres-cache.npz").mkdir()
    cache.write_text("a file where the folder would be")
    load(root)
    decoded.clear()
    load(root)
    assert decoded


def test_grey_images_have_one_channel(tmp_path: Path, png: Encode) -> None:
    grey = picture(1)
    for part in ("train", "test"):
        file = tmp_path / part / "a" / "0.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(png(grey))
    data = load(tmp_path)
    assert data.train.images.shape == (1, 6, 5, 1)
    assert np.array_equal(data.train.images[0, ..., 0], grey)


@pytest.mark.parametrize("part", ["train", "test"])
def test_grey_among_colour_becomes_colour(tree: tuple[Path, Tree], png: Encode, part: str) -> None:
    root, _ = tree
    grey = picture(1)
    (root / part / "cat" / "0.png").write_bytes(png(grey))
    data = load(root)
    assert data.train.images.shape == (4, 6, 5, 3)
    found = getattr(data, part).images[0]
    assert np.array_equal(found, np.stack([grey] * 3, axis=-1))


def test_transparency_palette_and_orientation(tree: tuple[Path, Tree]) -> None:
    from PIL import Image

    root, made = tree
    cat, pixels = root / "train" / "cat", made["train/cat/0.png"]
    opaque = np.dstack([pixels, np.full((6, 5), 255, np.uint8)])
    Image.fromarray(opaque).save(cat / "0.png")
    Image.fromarray(pixels).quantize(256).save(cat / "1.png")  # at most 30 colours: nothing is lost
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by a quarter
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(cat / "2.png", exif=exif)
    images = load(root).train.images
    assert all(np.array_equal(images[n], pixels) for n in range(3))


def test_images_of_two_sizes(tree: tuple[Path, Tree], png: Encode) -> None:
    root, _ = tree
    (root / "test" / "dog" / "0.png").write_bytes(png(picture(3, 7, 9)))
    with pytest.raises(
        DataError,
        match=r"test/dog/0.png has 9 x 7 pixels and .*train/cat/0.png has 5 x 6: bring all images to one size",
    ):
        load(root)
    assert not (root / ".tinyres-cache.npz").exists()


@pytest.mark.parametrize("content", ["empty", "text", "half"])
def test_an_unreadable_image_is_named(tree: tuple[Path, Tree], png: Encode, content: str) -> None:
    root, _ = tree
    whole = png(picture(3, 60, 50), "JPEG")
    file = root / "train" / "dog" / "bad.jpg"
    file.write_bytes({"empty": b"", "text": b"no image at all", "half": whole[: len(whole) // 2]}[content])
    with pytest.raises(DataError, match=r"train/dog/bad.jpg cannot be read as an image \(.+\): repair it or remove it"):
        load(root)


def test_sixteen_bits_are_refused(tree: tuple[Path, Tree], png: Encode) -> None:
    root, _ = tree
    (root / "train" / "cat" / "deep.png").write_bytes(png(picture(1).astype(np.uint16) * 200))
    with pytest.raises(DataError, match=r"cat/deep.png has pixels of mode 'I;16': save it with 8 bits"):
        load(root)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no folder 'train': expected train/<class>/.*found nothing"):
        load(tmp_path)


def test_another_layout(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "dogs").mkdir()
    with pytest.raises(DataError, match=r"has no folder 'train': .*found cats, dogs"):
        load(tmp_path)


def test_missing_and_empty_parts(tree: tuple[Path, Tree], tmp_path: Path) -> None:
    root, _ = tree
    (root / "test").rename(root / "validation")
    with pytest.raises(DataError, match=r"has no folder 'test': test/<class>/"):
        load(root)
    (root / "test").mkdir()
    with pytest.raises(DataError, match=r"test holds no folder of images"):
        load(root)
    (tmp_path / "flat" / "train").mkdir(parents=True)
    (tmp_path / "flat" / "train" / "cat1.png").touch()
    with pytest.raises(DataError, match=r"train holds no folder: put the images of each class into a folder"):
        load(tmp_path / "flat")


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_class(tree: tuple[Path, Tree], part: str) -> None:
    root, _ = tree
    for file in (root / part / "cat").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=rf"{part}/cat holds no image \(\.png, \.jpg, \.jpeg\): fill it or remove it"):
        load(root)


def test_a_class_that_only_the_test_has(tree: tuple[Path, Tree]) -> None:
    root, _ = tree
    (root / "test" / "dog").rename(root / "test" / "dogs")
    with pytest.raises(DataError, match=r"test/dogs: the training part has no class 'dogs'; did you mean 'dog'\?$"):
        load(root)
