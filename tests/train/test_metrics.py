"""Measurements by hand-made numbers, and the file that they go to."""

from __future__ import annotations

import errno
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tinyres.data import Dataset, Loader, pixel_mean
from tinyres.errors import CheckpointError
from tinyres.models import create
from tinyres.train import metrics
from tinyres.train.metrics import Log, Running, evaluate, logits_of, mean_loss, read_lines, top_k_error


def test_running_means_weigh_by_images() -> None:
    running = Running()
    running.add(2.0, wrong=8, images=16)
    running.add(0.5, wrong=1, images=4)
    assert running.line() == {"train_loss": (32 + 2) / 20, "train_error": 9 / 20}
    assert Running(**json.loads(json.dumps(running.state()))) == running


def test_top_k_counts_each_image_once() -> None:
    logits = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [0.0, 0.0, 0.0]])
    labels = np.array([0, 0, 0, 1])
    assert top_k_error(logits, labels) == 3 / 4, "the tie is wrong"
    assert top_k_error(logits, labels, 2) == 3 / 4
    assert top_k_error(logits, labels, 3) == 0.0


def test_mean_loss_is_log_k_for_equal_logits() -> None:
    assert mean_loss(np.zeros((5, 10), np.float32), np.arange(5)) == pytest.approx(math.log(10), rel=1e-12)


def test_evaluation_sees_every_image_once_and_leaves_the_model_alone(tiny: Dataset) -> None:
    model = create("resnet8", num_classes=3, in_channels=1)
    before = model.state_dict()
    mean = pixel_mean(tiny.train, tiny.scale)
    loaders = [Loader(tiny.test, mean=mean, scale=tiny.scale, batch=batch, seed=0) for batch in (20, 7)]
    (whole, labels), (parts, _) = (logits_of(model, loader) for loader in loaders)
    assert whole.shape == (20, 3)
    np.testing.assert_array_equal(labels, tiny.test.labels)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)
    line = evaluate(model, loaders[0], "test")
    assert line == {"test_loss": mean_loss(whole, labels), "test_error": top_k_error(whole, labels)}
    assert model.training
    after = model.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_lines_are_appended_cut_and_continued(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for step in (3, 6, 9):
        log.append({"step": step, "value": step / 7})
    with open(log.path, "a") as file:
        file.write('{"step": 12, "val')  # a crash while writing
    assert [line["step"] for line in read_lines(log.path)] == [3, 6, 9]
    again = Log(tmp_path)
    again.cut(6)
    assert again.lines == [{"step": 3, "value": 3 / 7}, {"step": 6, "value": 6 / 7}]
    again.append({"step": 9, "value": 1.5})
    assert read_lines(log.path) == again.lines


def test_no_file_no_lines(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.cut(100)
    assert log.lines == []
    assert not log.path.exists()


def test_a_full_disk_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(metrics.os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device; make room .* --resume"):
        Log(tmp_path).append({"step": 1})
