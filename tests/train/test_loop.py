"""A run as a whole: what it leaves behind, what it reports, and what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data import Dataset
from tinyres.errors import ConfigError, TinyresError
from tinyres.train import Config, checkpoint, fit
from tinyres.train.folder import checkpoints, read_config
from tinyres.train.loop import Result, Training
from tinyres.train.metrics import read_lines
from tinyres.train.start import restored_model

Settings = Callable[..., Config]


def test_a_run_leaves_all_that_it_promises(tiny: Dataset, settings: Settings, with_figures: None) -> None:
    result = fit(settings(clean_train_error=True, validation=0.2, epochs=3), tiny)
    assert sorted(path.name for path in result.folder.iterdir() if "checkpoint" not in path.name) == [
        "config.json",
        "curves.png",
        "metrics.jsonl",
    ]
    assert read_config(result.folder) == result.config
    assert result.config.iterations == result.step == 9
    lines = read_lines(result.folder / "metrics.jsonl")
    assert result.history == lines
    assert [line["step"] for line in lines] == [3, 6, 9]
    assert [line["epoch"] for line in lines] == [1.0, 2.0, 3.0]
    assert list(lines[0]) == [
        *("step", "epoch", "lr", "train_loss", "train_error", "clean_train_loss", "clean_train_error"),
        *("validation_loss", "validation_error", "test_loss", "test_error", "images_per_second", "seconds"),
    ]
    assert all(0 <= line[name] <= 1 for line in lines for name in line if name.endswith("error"))
    assert result.last["seconds"] > lines[0]["seconds"] > 0


def test_it_learns(tiny: Dataset, settings: Settings) -> None:
    result = fit(settings(epochs=12), tiny)
    assert result.last["train_loss"] < 0.5 * result.history[0]["train_loss"]
    assert result.last["test_error"] < 0.4


def test_a_run_is_never_overwritten(tiny: Dataset, settings: Settings) -> None:
    first = fit(settings(epochs=1), tiny)
    before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    second = fit(settings(epochs=1, seed=1), tiny)
    assert second.folder.name == "run-2"
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == before


def test_the_same_settings_give_the_same_run(tiny: Dataset, settings: Settings, measured: Any, same_run: Any) -> None:
    one, other = (fit(settings(augment=True), tiny) for _ in range(2))
    same_run(one.folder, other.folder)
    third = fit(settings(augment=True, seed=5), tiny)
    assert measured(third.folder) != measured(one.folder)


def test_selection_goes_by_validation_and_never_by_test(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([(0.5, 0.1), (0.2, 0.4), (0.2, 0.0), (0.3, 0.2)])  # validation and test error

    pair = (0.0, 0.0)

    def faked(model: Any, loader: Any, prefix: str) -> dict[str, float]:
        nonlocal pair
        if prefix == "validation":
            pair = next(values)
        error = pair[prefix == "test"]
        return {f"{prefix}_loss": error, f"{prefix}_error": error}

    monkeypatch.setattr("tinyres.train.loop.evaluate", faked)
    told: list[float] = []
    monkeypatch.setattr("tinyres.optim.schedules.Plateau.after_evaluation", lambda self, value: told.append(value))
    result = fit(settings(validation=0.25, schedule="plateau"), tiny)
    assert told == [0.5, 0.2, 0.2, 0.3]
    assert result.selected is not None
    assert (result.selected["step"], result.selected["test_error"]) == (6, 0.4)
    assert list(checkpoints(result.folder)) == [6, 9, 12]
    assert checkpoint.find(result.folder, selected=True).meta.step == 6


def test_without_validation_the_schedule_is_told_the_training_error(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    monkeypatch.setattr("tinyres.optim.schedules.Plateau.after_evaluation", lambda self, value: told.append(value))
    result = fit(settings(schedule="plateau"), tiny)
    assert told == [line["train_error"] for line in result.history]
    assert result.selected is None


def test_the_papers_warmup_ends_by_the_training_error(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.01 until the mean training error is below 80 %, then 0.1, and 0.01 past the milestone."""
    rates: list[float] = []
    whole = Training.step

    def faked(self: Training, x: Any, labels: Any) -> float:
        real = self.run.schedule.after_step
        errors = [1.0, 1.0, 0.7, 0.4] + [1.0] * 20  # their means: 1, 1, 0.9, 0.775
        monkeypatch.setattr(self.run.schedule, "after_step", lambda step, error: real(step, errors[step]))
        loss = whole(self, x, labels)
        monkeypatch.setattr(self.run.schedule, "after_step", real)
        rates.append(self.run.optimizer.lr)
        return loss

    monkeypatch.setattr(Training, "step", faked)
    fit(settings(warmup="paper", milestones=(8,)), tiny)
    assert rates == pytest.approx([0.01] * 4 + [0.1] * 4 + [0.01] * 4)


def test_the_model_of_a_checkpoint_needs_the_file_alone(tiny: Dataset, settings: Settings, tmp_path: Path) -> None:
    result = fit(settings(shortcut="B"), tiny)
    moved = checkpoints(result.folder)[12].rename(tmp_path / "alone.safetensors")
    model = restored_model(checkpoint.find(moved))
    assert not model.training
    own = result.model.state_dict()
    assert all(np.array_equal(value, own[name]) for name, value in model.state_dict().items())


def test_chosen_kernels_are_in_force(tiny: Dataset, settings: Settings) -> None:
    with pytest.raises(TinyresError, match="numpi"):
        fit(settings(kernels="conv2d=numpi"), tiny)
    assert not Path(settings().runs).exists()
    named = fit(settings(kernels="relu=numpy", epochs=1), tiny)
    assert named.config.kernels == "relu=numpy"


@pytest.mark.parametrize("changes", [{"model": "resnet21"}, {"model": "resnet"}, {"data": "digit"}, {"batch": 1000}])
def test_a_mistake_writes_nothing(tiny: Dataset, settings: Settings, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        fit(settings(**changes), None if "data" in changes else tiny)
    assert not Path(settings().runs).exists()


def test_tensorboard_events(tiny: Dataset, settings: Settings) -> None:
    pytest.importorskip("tensorboardX")
    result = fit(settings(tensorboard=True, epochs=1), tiny)
    (events,) = result.folder.glob("events.out.tfevents.*")
    assert b"test/error" in events.read_bytes()


def test_tensorboard_that_is_missing(tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match=r'pip install "tinyres\[tensorboard\]"'):
        fit(settings(tensorboard=True), tiny)


def test_nothing_is_printed_away_from_a_terminal(
    tiny: Dataset, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    result: Result = fit(settings(epochs=1), tiny)
    assert capsys.readouterr() == ("", "")
    json.dumps(result.last, allow_nan=False)
