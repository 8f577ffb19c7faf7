"""Checkpoint files: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tinyres.errors import CheckpointError
from tinyres.train import checkpoint, folder
from tinyres.train.checkpoint import Meta
from tinyres.train.recipe import Config, resolve


def meta(step: int = 20, **changes: Any) -> Meta:
    return dataclasses.replace(
        Meta(
            config=resolve(Config(), 100).to_json(),
            shortcut="A",
            in_channels=1,
            image_shape=(8, 8, 1),
            classes=("nought", "one"),
            images=100,
            step=step,
            epoch=10,
            position=0,
            schedule={"recent": [0.1 + 0.2, 1 / 3], "done": False},
            running={"loss": 0.1, "wrong": 3, "images": 64, "seconds": 1.5},
            selected=None,
            seconds=3.25,
            versions={"tinyres": "0", "numpy": "2", "python": "3"},
        ),
        **changes,
    )


@pytest.fixture
def tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "model.conv1.weight": rng.standard_normal((3, 3, 1, 4)).astype(np.float32),
        "model.bn1.running_mean": np.array([-0.0, 1e-42, 3.0, 4.0], np.float32),
        "model.count": np.array(7, np.int64),
        "optimizer.velocity": rng.standard_normal(36)[::2],  # not contiguous
        "data.mean": np.full((8, 8, 1), 0.25, np.float32),
    }


def test_everything_comes_back_byte_for_byte(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    path = checkpoint.write(tmp_path, meta(460), tensors)
    assert path.name == "checkpoint-00000460.safetensors"
    back = checkpoint.read(path)
    assert back.meta == meta(460)
    assert back.config == resolve(Config(), 100)
    assert back.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back.tensors[name].dtype == tensor.dtype
        assert back.tensors[name].shape == tensor.shape
        assert back.tensors[name].tobytes() == tensor.tobytes()
    assert back.part("model").keys() == {"conv1.weight", "bn1.running_mean", "count"}


def test_every_flipped_byte_is_noticed(
    tmp_path: Path, tensors: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    path = checkpoint.write(tmp_path, meta(), tensors)
    sound = path.read_bytes()
    places = [0, 8, 9, len(sound) // 2, len(sound) - 1, *rng.integers(0, len(sound), 60)]
    for place in places:
        damaged = bytearray(sound)
        damaged[place] ^= 1
        path.write_bytes(bytes(damaged))
        with pytest.raises(CheckpointError, match=r"is damaged|of another program") as caught:
            checkpoint.read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 5, 8, 300, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, tensors: dict[str, np.ndarray], length: int) -> None:
    path = checkpoint.write(tmp_path, meta(), tensors)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint"):
        checkpoint.read(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "other.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, foreign)
    with pytest.raises(CheckpointError, match="of another program"):
        checkpoint.find(foreign)
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        checkpoint.find(picture)
    with pytest.raises(CheckpointError, match="does not exist"):
        checkpoint.find(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint.find(tmp_path)


def test_another_format_names_the_version_that_reads_it(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    path = checkpoint.write(tmp_path, meta(format=9, versions={"tinyres": "7.0"}), tensors)
    with pytest.raises(CheckpointError, match=r"format 9 where this tinyres reads 1; use tinyres 7\.0"):
        checkpoint.read(path)


def test_values_that_are_not_finite_are_refused(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    tensors["optimizer.velocity"] = np.array([0.0, np.nan])
    with pytest.raises(CheckpointError, match=r"values in optimizer\.velocity that are not finite"):
        checkpoint.read(checkpoint.write(tmp_path, meta(), tensors))


def test_the_previous_good_one_is_offered(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    paths = [checkpoint.write(tmp_path, meta(step), tensors) for step in (10, 20, 30)]
    for path in paths[1:]:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"00000030\S* is damaged.*one before it is good: \S*00000010"):
        checkpoint.find(tmp_path)


@pytest.mark.parametrize("after", [0, 1000])
def test_a_full_disk(
    tmp_path: Path, tensors: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The disk takes `after` bytes of the second checkpoint and no more."""
    first = checkpoint.write(tmp_path, meta(10), tensors)
    before = first.read_bytes()

    class Full:
        def __init__(self, path: Path, mode: str) -> None:
            self.file = path.open(mode)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> None:
            self.file.write(data[:after])
            self.file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder, "open", Full, raising=False)
    with pytest.raises(CheckpointError, match=r"cannot write \S*00000020\S*: No space left .* last good .*00000010"):
        checkpoint.write(tmp_path, meta(20), tensors)
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert first.read_bytes() == before


def test_the_last_two_and_the_selected_one_are_kept(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    for step in (10, 20, 30, 40, 50):
        checkpoint.write(tmp_path, meta(step), tensors)
    checkpoint.prune(tmp_path, selected=20)
    assert list(folder.checkpoints(tmp_path)) == [20, 40, 50]
    checkpoint.prune(tmp_path, selected=None)
    assert list(folder.checkpoints(tmp_path)) == [40, 50]


def test_the_selected_one_is_found(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    for step in (20, 40, 50):
        checkpoint.write(tmp_path, meta(step, selected={"step": 20, "validation_error": 0.1}), tensors)
    assert checkpoint.find(tmp_path).meta.step == 50
    assert checkpoint.find(tmp_path, selected=True).meta.step == 20
    assert checkpoint.find(tmp_path / "checkpoint-00000040.safetensors", selected=True).meta.step == 40
