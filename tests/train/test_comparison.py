"""Comparisons: several networks, one figure; stopped and resumed like a single run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinyres.data import Dataset
from tinyres.errors import CheckpointError, ConfigError
from tinyres.train import Config, compare, fit
from tinyres.train.loop import Training

Settings = Callable[..., Config]


def silent(_: str) -> None:
    pass


@pytest.mark.slow
def test_each_run_is_the_run_alone(tiny: Dataset, settings: Settings, same_run: Any, tmp_path: Path) -> None:
    comparison = compare(settings(compare=("plain8", "resnet8"), seeds=(0, 3)), tiny, silent)
    alone = fit(settings(model="plain8", seed=3, runs=str(tmp_path / "alone")), tiny)
    same_run(comparison.folder / "plain8-seed3", alone.folder)
    errors = sorted(result.last["train_error"] for result in comparison.results["plain8"])
    assert comparison.median("plain8", "train_error") == pytest.approx(sum(errors) / 2)
    assert [row.split()[:2] for row in comparison.table().splitlines()[1:]] == [["plain8", "2"], ["resnet8", "2"]]


@pytest.mark.slow
def test_stopped_and_resumed(tiny: Dataset, settings: Settings, same_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    both = settings(compare=("plain8", "resnet8"))
    whole = compare(both, tiny, silent)
    step = Training.step

    def interrupted(self: Training, x: Any, labels: Any) -> float:
        if self.run.config.model == "resnet8" and self.run.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, x, labels)

    monkeypatch.setattr(Training, "step", interrupted)
    stopped = compare(both, tiny, silent)
    monkeypatch.undo()
    assert stopped.interrupted
    assert not stopped.results["resnet8"]
    resumed = compare(Config(resume=str(stopped.folder)), tiny, silent)
    assert not resumed.interrupted
    record = json.loads((resumed.folder / "compare.json").read_text())
    assert record["networks"] == json.loads((whole.folder / "compare.json").read_text())["networks"]
    assert (resumed.folder / "compare.png").exists()


def test_what_is_refused(tiny: Dataset, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="plane8"):
        compare(settings(compare=("resnet8", "plane8")), tiny, silent)
    assert not Path(settings().runs).exists()
    with pytest.raises(ConfigError, match="trains one network"):
        fit(settings(compare=("resnet8",)), tiny)
    (tmp_path / "compare.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"compare\.json cannot be read"):
        compare(Config(resume=str(tmp_path)), tiny, silent)
