"""A data set so small that a whole run takes a fraction of a second: 44 images, three classes, 3 steps an epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.data import Dataset, from_arrays
from tinyres.train import Config, checkpoint
from tinyres.train.folder import checkpoints
from tinyres.train.metrics import TIMES, read_lines


@pytest.fixture
def tiny() -> Dataset:
    rng = np.random.default_rng(3)
    labels = np.arange(44) % 3
    images = (rng.integers(0, 120, (44, 8, 8, 1)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    return from_arrays(images, labels, images[:20], labels[:20], name="tiny")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Config]:
    """Settings of a run of four epochs, 12 steps, in a folder of the test."""

    def make(**changes: Any) -> Config:
        default = {"model": "resnet8", "epochs": 4, "batch": 16, "runs": str(tmp_path / "runs"), "name": "run"}
        return Config(**default | changes)

    return make


@pytest.fixture
def with_figures() -> None:
    """Ask for this to have figures drawn, which takes longer than a whole run here."""


@pytest.fixture(autouse=True)
def without_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "with_figures" not in request.fixturenames:
        monkeypatch.setattr("tinyres.train.loop.draw_curves", lambda folder, title: None)


@pytest.fixture
def measured() -> Callable[[Path], list[dict[str, Any]]]:
    """The lines of a run without the times."""

    def lines(folder: Path) -> list[dict[str, Any]]:
        kept = read_lines(folder / "metrics.jsonl")
        return [{name: value for name, value in line.items() if name not in TIMES} for line in kept]

    return lines


@pytest.fixture
def tensors() -> Callable[[Path], dict[str, tuple[str, bytes]]]:
    """Type and bytes of every tensor of a checkpoint."""
    return lambda path: {name: (t.dtype.str, t.tobytes()) for name, t in checkpoint.read(path).tensors.items()}


@pytest.fixture
def same_run(measured: Callable[[Path], Any], tensors: Callable[[Path], Any]) -> Callable[[Path, Path], None]:
    """Assert that two runs have equal lines and equal checkpoints."""

    def check(one: Path, other: Path) -> None:
        assert measured(one) == measured(other)
        assert checkpoints(one).keys() == checkpoints(other).keys()
        for mine, its in zip(checkpoints(one).values(), checkpoints(other).values(), strict=True):
            assert tensors(mine) == tensors(its)

    return check
