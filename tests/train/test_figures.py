"""Figures: drawn from lines alone, never a reason to lose a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyres.train import figures
from tinyres.train.figures import best_validation, compare_curves, confusion, curves, draw_curves


def lines(count: int = 6, **more: float) -> list[dict[str, Any]]:
    return [
        {
            "step": 10 * n,
            "lr": 0.1 if n < 4 else 0.01,
            "train_loss": 2 / n,
            "train_error": 0.9 / n,
            "test_loss": 2.2 / n,
            "test_error": 1 / (n + 1),
        }
        | more
        for n in range(1, count + 1)
    ]


def test_training_is_thin_and_test_is_bold() -> None:
    figure = curves(lines(validation_error=0.2, validation_loss=0.7), "a net")
    left, right = figure.axes
    widths = {
        line.get_label(): line.get_linewidth() for line in left.lines if not str(line.get_label()).startswith("_")
    }
    assert widths["training"] < widths["validation"] < widths["test"]
    training = next(line for line in left.lines if line.get_label() == "training")
    np.testing.assert_allclose(training.get_xdata(), [10, 20, 30, 40, 50, 60])
    np.testing.assert_allclose(training.get_ydata(), [90, 45, 30, 22.5, 18, 15])
    assert right.get_ylabel() == "cross-entropy"
    assert any("lr 0.01" in text.get_text() for text in left.texts)


def test_plain_and_residual_share_their_axis() -> None:
    runs = {"plain56": [lines(), lines(test_error=0.5), lines(test_error=0.7)], "resnet56": [lines(), lines(), lines()]}
    left, right = compare_curves(runs, "depth").axes
    assert left.get_ylim() == right.get_ylim()
    plain = next(line for line in right.lines if line.get_label() == "plain56")
    np.testing.assert_allclose(
        plain.get_ydata(), np.median([[100 / (n + 1) for n in range(1, 7)], [50] * 6, [70] * 6], axis=0)
    )


def test_best_validation_is_the_first_of_equals() -> None:
    made = [{"step": n, "validation_error": error} for n, error in enumerate([0.3, 0.1, 0.1, 0.2])]
    assert best_validation(made) == made[1]
    assert best_validation([{"step": 1}]) is None


@pytest.mark.parametrize("count", [2, 10, 100])
def test_confusion_names_every_class(count: int) -> None:
    matrix = np.eye(count, dtype=np.int64) * 5
    matrix[0, 1] = 3
    axes = confusion(matrix, [f"class {k}" for k in range(count)], "t").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"class {k}" for k in range(count)]
    assert len(axes.texts) == count + 1


def test_curves_come_from_the_file_alone(tmp_path: Path) -> None:
    assert draw_curves(tmp_path, "nothing yet") is None
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines(1)))
    assert draw_curves(tmp_path, "one point") == tmp_path / "curves.png"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_fails_is_only_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(lines(1)[0]) + "\n")

    def fail(*_: object) -> None:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(figures, "save", fail)
    assert draw_curves(tmp_path, "t") is None
    assert "curves.png could not be drawn: no fonts" in capsys.readouterr().err
