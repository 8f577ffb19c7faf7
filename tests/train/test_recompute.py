"""Recomputation in a run: the same lines and checkpoints; a run goes on with it or without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.cli import main
from tinyres.data import Dataset
from tinyres.errors import TrainingError
from tinyres.nn import RecomputedSequential
from tinyres.train import Config, checkpoint, compare, fit
from tinyres.train.folder import checkpoints
from tinyres.train.loop import Training
from tinyres.train.start import restored_model

Settings = Callable[..., Config]


def tensors_of(folder: Path, tensors: Any) -> dict[int, Any]:
    return {step: tensors(path) for step, path in checkpoints(folder).items()}


@pytest.mark.parametrize("changes", [{}, {"shortcut": "B", "kernels": "all=numba", "augment": True}])
def test_a_run_has_the_same_lines_and_checkpoints(
    tiny: Dataset, settings: Settings, changes: dict[str, Any], measured: Any, tensors: Any
) -> None:
    plain, other = (fit(settings(recompute=recompute, **changes), tiny) for recompute in (False, True))
    assert isinstance(other.model.layer1, RecomputedSequential)
    assert not isinstance(plain.model.layer1, RecomputedSequential)
    assert measured(plain.folder) == measured(other.folder)
    assert tensors_of(plain.folder, tensors) == tensors_of(other.folder, tensors)


@pytest.mark.parametrize("first", [False, True])
def test_a_run_goes_on_with_it_or_without(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch, measured: Any, tensors: Any, first: bool
) -> None:
    whole = fit(settings(), tiny)
    real = Training.step

    def stopped_after_four(self: Training, x: Any, labels: Any) -> float:
        if self.run.step == 4:
            raise KeyboardInterrupt
        return real(self, x, labels)

    monkeypatch.setattr(Training, "step", stopped_after_four)
    with pytest.raises(KeyboardInterrupt):
        fit(settings(recompute=first, checkpoint_every=2), tiny)
    monkeypatch.undo()
    folder = whole.folder.with_name("run-2")
    if first:  # a run keeps it, unless config.json is told otherwise
        assert isinstance(fit(Config(resume=str(folder)), tiny).model.layer1, RecomputedSequential)
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"recompute": False}))
        resumed = fit(Config(resume=str(checkpoints(folder)[min(checkpoints(folder))])), tiny)
    else:
        resumed = fit(Config(resume=str(folder), recompute=True), tiny)
    assert isinstance(resumed.model.layer1, RecomputedSequential) != first
    assert resumed.trained > 0
    assert measured(folder) == measured(whole.folder)
    assert tensors_of(folder, tensors)[12] == tensors_of(whole.folder, tensors)[12]


def test_a_checkpoint_of_such_a_run_gives_the_network(tiny: Dataset, settings: Settings) -> None:
    result = fit(settings(epochs=1, recompute=True), tiny)
    x = np.ones((2, 8, 8, 1), np.float32)
    assert restored_model(checkpoint.find(result.folder))(x).data.tobytes() == result.model.eval()(x).data.tobytes()


def test_a_run_that_diverges_names_the_layer_inside_the_block(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Training.step

    def poisoned(self: Training, x: Any, labels: Any) -> float:
        if self.run.step == 2:
            dict(self.run.model.named_parameters())["layer2.0.conv1.weight"].data[0, 0, 0, 0] = np.inf
        return real(self, x, labels)

    monkeypatch.setattr(Training, "step", poisoned)
    with pytest.raises(TrainingError, match=r"layer2\.0\.conv1 \(its parameter weight\)"):
        fit(settings(recompute=True), tiny)


def test_a_comparison_goes_on_with_it(tiny: Dataset, settings: Settings, tensors: Any) -> None:
    models = {"model": "resnet20", "compare": ("plain8", "resnet8"), "epochs": 1}
    whole = compare(settings(**models), tiny, tell=lambda _: None)
    expected = tensors_of(whole.folder / "resnet8-seed0", tensors)
    shutil.rmtree(whole.folder / "resnet8-seed0")
    again = compare(Config(resume=str(whole.folder), recompute=True), tiny, tell=lambda _: None)
    assert isinstance(again.results["resnet8"][0].model.layer1, RecomputedSequential)
    assert tensors_of(whole.folder / "resnet8-seed0", tensors) == expected


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["train", "--model", "resnet8", "--iterations", "2", "--batch", "16", "--name", "run"]
    assert main([*line, "--recompute"]) == 0
    assert json.loads(Path("runs/run/config.json").read_text())["recompute"] is True
