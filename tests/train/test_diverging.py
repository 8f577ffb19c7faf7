"""A run whose numbers are no longer finite: stopped, explained, and nothing good lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data import Dataset
from tinyres.errors import TrainingError
from tinyres.train import Config, checkpoint, fit
from tinyres.train.folder import checkpoints
from tinyres.train.loop import Training

Settings = Callable[..., Config]


def test_a_diverging_run_names_layer_and_step(tiny: Dataset, settings: Settings) -> None:
    with pytest.raises(TrainingError) as caught:
        fit(settings(lr=1e30, checkpoint_every=1, weight_decay=0.0), tiny)
    text = str(caught.value)
    assert text.startswith("the loss is nan at step ")
    assert "the first value that is not finite appears in " in text
    assert "such as --lr 1e+29" in text
    assert "\n" not in text


def test_a_diverging_run_keeps_the_last_good_checkpoint(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Training.step

    def poisoned(self: Training, x: Any, labels: Any) -> float:
        if self.run.step == 7:
            dict(self.run.model.named_parameters())["layer2.0.conv1.weight"].data[0, 0, 0, 0] = np.inf
        return whole(self, x, labels)

    monkeypatch.setattr(Training, "step", poisoned)
    with pytest.raises(TrainingError, match=r"at step 8: .* in layer2\.0\.conv1 \(its parameter weight\); .*00000006"):
        fit(settings(), tiny)
    folder = Path(settings().runs) / "run"
    assert list(checkpoints(folder)) == [3, 6]
    assert all(np.isfinite(t).all() for t in checkpoint.find(folder).tensors.values())


def test_weights_that_break_in_an_update_never_reach_a_checkpoint(
    tiny: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Training.step

    def poisoned(self: Training, x: Any, labels: Any) -> float:
        loss = whole(self, x, labels)
        if self.run.step == 4:
            dict(self.run.model.named_parameters())["fc.bias"].data[0] = np.nan
        return loss

    monkeypatch.setattr(Training, "step", poisoned)
    with pytest.raises(TrainingError, match=r"fc\.bias is not finite after step 4: .* in fc \(its parameter bias\)"):
        fit(settings(checkpoint_every=2), tiny)
    assert list(checkpoints(Path(settings().runs) / "run")) == [2]
