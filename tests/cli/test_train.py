"""`tinyres train` from the outside: what it prints, leaves behind and returns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tinyres.cli import main

QUICK = ["--model", "resnet8", "--iterations", "3", "--batch", "16"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_says_what_came_out_and_where_it_lies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "--validation", "0.1"]) == 0
    told, wrong = capsys.readouterr()
    summary, folder = told.splitlines()
    assert summary.startswith("resnet8 on digits, 3 iterations in ")
    assert "at the lowest validation error (step 3)" in summary
    assert wrong == ""
    assert {path.name for path in Path(folder).iterdir()} == {
        "config.json", "metrics.jsonl", "checkpoint-00000003.safetensors", "curves.png",
    }  # fmt: skip
    assert main(["train", "--resume", folder]) == 0
    assert "was finished already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--model", "resnet21"], "21 is not"),
        (["--model", "resnett20"], "did you mean 'resnet20'"),
        (["--lr", "-1"], "lr is -1.0 and must be a positive number"),
        (["--data", "digit"], "did you mean 'digits'"),
        (["--epochs", "0"], "epochs is 0 and must be at least 1"),
        (["--compare", "resnet8", "plane8"], "plane8"),
        (["--seeds", "1", "2"], "seeds belong to --compare"),
    ],
)
def test_a_mistake_is_one_sentence(line: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *line]) == 2
    told, wrong = capsys.readouterr()
    assert told == ""
    assert words in wrong
    assert len(wrong.splitlines()) == 1
    assert not Path("runs").exists()


def test_runs_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").write_text("a file")
    assert main(["train", *QUICK]) == 2
    assert "runs is a file; say with --runs in which folder runs are kept" in capsys.readouterr().err


def test_an_unknown_kernel_is_refused_before_anything_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "--kernels", "conv2d=numpi"]) == 1
    assert "numpi" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_diverging_run_ends_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *QUICK, "--lr", "1e30"]) == 1
    told, wrong = capsys.readouterr()
    assert told == ""
    assert "the first value that is not finite appears in" in wrong
    assert len(wrong.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tinyres", "train", "--model", "resnet8", "--epochs", "500", "--name", "long"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for _ in range(600):
        if list(tmp_path.glob("runs/long/checkpoint-*")):
            break
        time.sleep(0.05)
    process.send_signal(number)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[1] == "  tinyres train --resume runs/long"
    step = int(told.split()[2])
    assert (tmp_path / f"runs/long/checkpoint-{step:08d}.safetensors").exists()


def test_comparing_networks(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["train", *QUICK, "--compare", "plain8", "resnet8", "--seeds", "0", "1", "--name", "depth"]
    assert main(line) == 0
    told = capsys.readouterr().out.splitlines()
    assert [row.split(",")[0] for row in told[:4]] == ["plain8", "resnet8", "plain8", "resnet8"]
    assert told[-1] == "runs/depth/compare.png"
    record = json.loads(Path("runs/depth/compare.json").read_text())
    assert list(record["networks"]) == ["plain8", "resnet8"]
    errors = [run["test_error"] for run in record["networks"]["plain8"]["runs"]]
    assert record["networks"]["plain8"]["median"]["test_error"] == pytest.approx(sum(errors) / 2)
    assert {path.name for path in Path("runs/depth").iterdir()} == {
        "compare.json", "compare.png", "plain8-seed0", "plain8-seed1", "resnet8-seed0", "resnet8-seed1",
    }  # fmt: skip


def test_a_comparison_goes_on_where_it_was_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    line = ["train", *QUICK, "--compare", "plain8", "resnet8", "--name", "depth"]
    assert main(line) == 0
    table = capsys.readouterr().out.splitlines()[2:5]
    kept = Path("runs/depth/plain8-seed0/metrics.jsonl").read_bytes()
    shutil.rmtree("runs/depth/resnet8-seed0")
    assert main(["train", "--resume", "runs/depth"]) == 0
    assert [row.split()[:4] for row in capsys.readouterr().out.splitlines()[2:5]] == [row.split()[:4] for row in table]
    assert Path("runs/depth/plain8-seed0/metrics.jsonl").read_bytes() == kept
    assert main(["train", "--resume", "runs/depth", "--lr", "0.5"]) == 2
    assert "the comparison has lr None, not 0.5" in capsys.readouterr().err
