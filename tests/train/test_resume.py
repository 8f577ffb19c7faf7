"""Stopping and resuming changes nothing; what cannot be resumed is refused in a sentence."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tinyres.data import Dataset
from tinyres.errors import CheckpointError, ConfigError
from tinyres.train import Config, fit, folder
from tinyres.train.folder import checkpoints
from tinyres.train.loop import Training

Settings = Callable[..., Config]


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """Have the run interrupted while it does a step."""
    whole = Training.step

    def interrupted(self: Training, x: Any, labels: Any) -> float:
        if self.run.step == step - 1:
            os.kill(os.getpid(), number)
        return whole(self, x, labels)

    monkeypatch.setattr(Training, "step", interrupted)


@pytest.mark.parametrize("kernels", ["", pytest.param("all=numpy", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (1, {}),
        (3, {}),
        (4, {"augment": True, "validation": 0.25, "clean_train_error": True, "dtype": "float64"}),
        (5, {"schedule": "plateau", "patience": 0, "warmup": "paper", "nesterov": True}),
        (11, {"evaluate_every": 2, "checkpoint_every": 5, "schedule": "cosine", "warmup": "linear"}),
    ],
)
def test_stopped_and_resumed_is_as_if_never_stopped(
    tiny: Dataset,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    changes: dict[str, Any],
    kernels: str,
    measured: Any,
    tensors: Any,
) -> None:
    changes = changes | {"kernels": kernels}
    whole = fit(settings(**changes), tiny)
    stop_after(monkeypatch, step)
    stopped = fit(settings(**changes), tiny)
    monkeypatch.undo()
    assert stopped.interrupted
    assert stopped.step == step
    resumed = fit(Config(resume=str(stopped.folder)), tiny)
    assert (resumed.folder, resumed.trained, resumed.interrupted) == (stopped.folder, 12 - step, False)
    assert measured(resumed.folder) == measured(whole.folder)
    assert tensors(max(checkpoints(resumed.folder).values())) == tensors(max(checkpoints(whole.folder).values()))
    assert resumed.last["seconds"] > stopped.last.get("seconds", 0)


def test_sigterm_saves_too(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch, with_figures: None
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop_after(monkeypatch, 5, signal.SIGTERM)
    result = fit(settings(), tiny)
    assert (result.interrupted, result.step) == (True, 5)
    assert list(checkpoints(result.folder))[-1] == 5
    assert (result.folder / "curves.png").exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_in_the_last_step_is_a_finished_run(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(monkeypatch, 12)
    assert not fit(settings(), tiny).interrupted


def test_resuming_from_an_earlier_checkpoint_recomputes_the_later_one(
    tiny: Dataset, settings: Settings, measured: Any, tensors: Any
) -> None:
    whole = fit(settings(), tiny)
    expected = {path.name: tensors(path) for path in checkpoints(whole.folder).values()}
    lines = measured(whole.folder)
    earlier = checkpoints(whole.folder)[9]
    result = fit(Config(resume=str(earlier)), tiny)
    assert result.trained == 3
    assert {path.name: tensors(path) for path in checkpoints(whole.folder).values()} == expected
    assert measured(whole.folder) == lines


def test_stopped_after_going_back_the_later_checkpoint_is_gone(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = fit(settings(), tiny)
    stop_after(monkeypatch, 10)
    fit(Config(resume=str(checkpoints(other.folder)[9])), tiny)
    monkeypatch.undo()
    assert list(checkpoints(other.folder)) == [9, 10], "12 lies in the future, and its lines are cut"
    assert [line["step"] for line in fit(Config(resume=str(other.folder)), tiny).history] == [3, 6, 9, 12]


def test_what_was_selected_before_the_stop_stays_selected(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([0.4, 0.1, 0.3, 0.2])
    monkeypatch.setattr(
        "tinyres.train.loop.evaluate",
        lambda model, loader, prefix: {f"{prefix}_error": next(errors) if prefix == "validation" else 0.5},
    )
    stop_after(monkeypatch, 8)
    stopped = fit(settings(validation=0.25), tiny)
    resumed = fit(Config(resume=str(stopped.folder)), tiny)
    assert resumed.selected == stopped.selected
    assert resumed.selected is not None
    assert resumed.selected["step"] == 6
    assert list(checkpoints(resumed.folder)) == [6, 9, 12]


def test_a_run_killed_before_its_first_checkpoint_starts_anew(tiny: Dataset, settings: Settings, same_run: Any) -> None:
    whole = fit(settings(), tiny)
    other = fit(settings(), tiny)
    for path in checkpoints(other.folder).values():
        path.unlink()
    resumed = fit(Config(resume=str(other.folder)), tiny)
    assert resumed.trained == 12
    same_run(resumed.folder, whole.folder)


def test_a_finished_run_has_nothing_to_train(tiny: Dataset, settings: Settings, with_figures: None) -> None:
    whole = fit(settings(), tiny)
    (whole.folder / "curves.png").unlink()
    again = fit(Config(resume=str(whole.folder)), tiny)
    assert (again.trained, again.interrupted, again.last) == (0, False, whole.last)
    assert (whole.folder / "curves.png").exists(), "killed before the figure, it is drawn now"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": 0.5}, r"the run has lr 0\.1, not 0\.5, and a resumed run keeps its settings"),
        ({"epochs": 9}, "the run has epochs 4, not 9"),
        ({"model": "resnet14"}, "the run has model 'resnet8', not 'resnet14'"),
        ({"milestones": (0.25,)}, "the run has milestones"),
    ],
)
def test_a_resumed_run_keeps_its_settings(
    tiny: Dataset, settings: Settings, changes: dict[str, Any], words: str
) -> None:
    whole = fit(settings(), tiny)
    before = {path.name: path.read_bytes() for path in whole.folder.iterdir()}
    with pytest.raises(ConfigError, match=words):
        fit(Config(resume=str(whole.folder), **changes), tiny)
    assert {path.name: path.read_bytes() for path in whole.folder.iterdir()} == before


def test_the_same_settings_may_be_repeated_on_resuming(tiny: Dataset, settings: Settings) -> None:
    whole = fit(settings(milestones=(0.5,)), tiny)
    assert fit(settings(milestones=(0.5,), resume=str(whole.folder), tensorboard=False), tiny).trained == 0


def test_other_data_are_refused(tiny: Dataset, settings: Settings) -> None:
    whole = fit(settings(), tiny)
    tiny.train.images[0] += 1
    with pytest.raises(CheckpointError, match="resume with the same data"):
        fit(Config(resume=str(whole.folder)), tiny)


def test_a_checkpoint_of_another_run_is_refused(tiny: Dataset, settings: Settings) -> None:
    one, other = fit(settings(), tiny), fit(settings(model="plain8", epochs=5), tiny)
    intruder = checkpoints(other.folder)[15].rename(one.folder / "checkpoint-00000015.safetensors")
    with pytest.raises(CheckpointError, match=rf"{intruder.name} is of another run: it has \w+ 'plain8'"):
        fit(Config(resume=str(one.folder)), tiny)


def test_a_damaged_checkpoint_is_refused_and_the_previous_one_works(
    tiny: Dataset, settings: Settings, tensors: Any
) -> None:
    whole = fit(settings(), tiny)
    expected = tensors(checkpoints(whole.folder)[12])
    newest = checkpoints(whole.folder)[12]
    content = bytearray(newest.read_bytes())
    content[-3] ^= 64
    newest.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"00000012\S* is damaged.*good: (\S+00000009\S+)") as caught:
        fit(Config(resume=str(whole.folder)), tiny)
    offered = str(caught.value).split("good: ")[1].rstrip(".")
    fit(Config(resume=offered), tiny)
    assert tensors(newest) == expected


def test_not_a_run(tmp_path: Path, tiny: Dataset) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        fit(Config(resume=str(tmp_path / "nowhere")), tiny)
    with pytest.raises(CheckpointError, match=r"is not a run folder: it holds no config\.json"):
        fit(Config(resume=str(tmp_path)), tiny)


def test_a_disk_that_fills_up_while_a_checkpoint_is_written(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch, same_run: Any
) -> None:
    whole = fit(settings(), tiny)
    real = os.fsync

    def full(handle: int) -> None:
        if "checkpoint-00000009" in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(folder.os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device; the last good checkpoint is \S+00000006"):
        fit(settings(), tiny)
    monkeypatch.undo()
    broken = whole.folder.with_name("run-2")
    assert sorted(path.name for path in broken.iterdir() if "checkpoint" in path.name) == [
        "checkpoint-00000003.safetensors",
        "checkpoint-00000006.safetensors",
    ]
    fit(Config(resume=str(broken)), tiny)
    same_run(broken, whole.folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB, in memory: room for three checkpoints, not for more."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs the rights of the superuser")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_disk_that_is_really_full(tiny: Dataset, settings: Settings, small_disk: Path, same_run: Any) -> None:
    whole = fit(settings(), tiny)
    size = checkpoints(whole.folder)[12].stat().st_size
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2**21 - 5 * size // 2 - 32768))  # room for two checkpoints and a half
    with pytest.raises(CheckpointError, match=r"00000009\S+: No space left on device; the last good .*00000006"):
        fit(settings(runs=str(small_disk)), tiny)
    assert list(checkpoints(small_disk / "run")) == [3, 6]
    assert not list((small_disk / "run").glob(".*"))
    ballast.unlink()
    fit(Config(resume=str(small_disk / "run")), tiny)
    same_run(small_disk / "run", whole.folder)
