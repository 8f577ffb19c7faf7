"""`tinyres eval`: numbers worked out a second time from what it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tinyres.cli import main
from tinyres.cli.eval import confusion_matrix
from tinyres.train import Config, fit


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    return fit(Config(model="resnet8", epochs=2, lr=0.02, runs=str(runs), name="one")).folder


def test_confusion_counts_truth_by_row() -> None:
    logits = np.array([[0, 9, 0], [9, 0, 0], [0, 0, 9], [0, 9, 0]], float)
    assert confusion_matrix(logits, np.array([0, 0, 2, 1]), 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_the_newest_run_is_evaluated(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained.parent.parent)
    assert main(["eval", "--runs", str(trained.parent)]) == 0
    told = capsys.readouterr().out
    folder = trained / "eval-00000046-digits"
    outcome = json.loads((folder / "eval.json").read_text())
    assert f"top-1 error {outcome['top1_error']:8.2%}" in told
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    assert outcome["top1_error"] == last["test_error"]
    assert outcome["loss"] == pytest.approx(last["test_loss"], rel=1e-4)
    assert outcome["top5_error"] <= outcome["top1_error"]
    rows = list(csv.reader((folder / "confusion.csv").read_text().splitlines()))
    matrix = np.array([row[1:] for row in rows[1:]], int)
    assert rows[0] == ["true class", *"0123456789"]
    assert matrix.sum() == 360
    assert 1 - np.trace(matrix) / 360 == pytest.approx(outcome["top1_error"])
    assert outcome["class_error"]["3"] == pytest.approx(1 - matrix[3, 3] / matrix[3].sum())
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert main(["eval", str(trained)]) == 0
    assert (trained / "eval-00000046-digits-2").is_dir(), "an evaluation is not overwritten"


def test_images_of_another_shape(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for part in ("train", "test"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (16, 16)).save(tmp_path / part / name / "x.png")
    assert main(["eval", str(trained), "--data", str(tmp_path)]) == 1
    assert "was trained on images [8, 8, 1]" in capsys.readouterr().err


def test_other_classes(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for part in ("train", "test"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / part / name / "x.png")
    assert main(["eval", str(trained), "--data", str(tmp_path)]) == 1
    assert "knows the 10 classes 0, 1, 2, 3 ... and" in capsys.readouterr().err


def test_nothing_to_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--runs", str(tmp_path)]) == 1
    assert "no trained run" in capsys.readouterr().err
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    assert main(["eval", str(tmp_path / "x.safetensors")]) == 1
    assert "is damaged or not a checkpoint" in capsys.readouterr().err
