"""Run folders: never overwritten; files whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tinyres.errors import CheckpointError, ConfigError
from tinyres.train import folder
from tinyres.train.folder import checkpoints, new_folder, newest_run, read_config, write_atomically, write_config
from tinyres.train.recipe import Config


def test_a_folder_is_never_taken_twice(tmp_path: Path) -> None:
    made = [new_folder(tmp_path / "runs", "a") for _ in range(3)]
    assert [path.name for path in made] == ["a", "a-2", "a-3"]
    assert all(path.is_dir() for path in made)


def test_runs_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(ConfigError, match="--runs"):
        new_folder(tmp_path / "runs", "a")


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        ConfigError, match=r"cannot make the folder .*runs/a: Permission denied; choose another with --runs"
    ):
        new_folder(tmp_path / "runs", "a")


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder.os, broken, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_config_comes_back(tmp_path: Path) -> None:
    config = Config(model="plain20", milestones=(3.0, 5.0))
    write_config(tmp_path, config)
    assert read_config(tmp_path) == config


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "resnet20", "colour": 3}')
    with pytest.raises(CheckpointError, match=r"config.json cannot be read: .*colour"):
        read_config(tmp_path)


def test_checkpoints_in_order_of_their_steps(tmp_path: Path) -> None:
    for step in (100, 23, 123_456_789):
        (tmp_path / f"checkpoint-{step:08d}.safetensors").touch()
    for other in ("checkpoint-1.safetensors", ".checkpoint-00000007.safetensors.partial", "notes"):
        (tmp_path / other).touch()
    assert list(checkpoints(tmp_path)) == [23, 100, 123_456_789]


def test_newest_run_is_the_last_begun_with_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no trained run"):
        newest_run(tmp_path / "nowhere")
    for number, name in enumerate(("b", "a", "c")):
        write_config(new_folder(tmp_path, name), Config())
        os.utime(tmp_path / name / "config.json", (1000 + number, 1000 + number))
    with pytest.raises(CheckpointError, match="no trained run"):
        newest_run(tmp_path)
    for name in "ab":
        (tmp_path / name / "checkpoint-00000001.safetensors").touch()
    assert newest_run(tmp_path) == tmp_path / "a"
