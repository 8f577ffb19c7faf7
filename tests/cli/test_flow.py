"""`tinyres flow` as a person uses it: on a run that was recorded, on its checkpoint, on fresh nets, and on mistakes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from tinyres import models
from tinyres.cli import flow, main
from tinyres.flow import Record, fit
from tinyres.flow.measures.initial import gradient_by_depth
from tinyres.flow.nets import net_of
from tinyres.train import Config

MEASURES = ("signal", "responses", "coactivation", "shattered", "paths", "jacobian", "hessian", "landscape")
QUICK = {
    "hessian": ["--iterations", "3"], "landscape": ["--points", "3"], "jacobian": ["--images", "1"],
    "shattered": ["--points", "20"], "lesion": ["--repeats", "1", "--counts", "1"],
    "shuffle": ["--repeats", "1", "--exchanges", "1"], "init": ["--scales", "1"], "truncate": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    for model in ("resnet14", "plain8"):
        fit(Config(model=model, iterations=9, lr=0.02, runs=str(runs), name=model, flow=True, flow_every=4))
    return runs


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def names() -> list[str]:
    return [part.__metadata__[0].name for part in get_args(flow.Command)]


def test_help_lists_every_figure(capsys):
    assert main(["flow", "--help"]) == 0
    out = capsys.readouterr().out
    for name in names():
        assert f"• {name}" in out


@pytest.mark.parametrize("name", names())
def test_help_of_a_figure(name, capsys):
    assert main(["flow", name, "--help"]) == 0
    out = capsys.readouterr().out
    assert "TARGET" in out
    assert "--out" in out


def test_norms_of_two_runs(trained, tmp_path, capsys):
    targets = [str(trained / "resnet14"), str(trained / "plain8")]
    assert main(["flow", "norms", *targets, "--quantity", "gradient", "--out", str(tmp_path), "--style", "paper"]) == 0
    out = capsys.readouterr().out.splitlines()
    files = [tmp_path / f"norms-gradient.{end}" for end in ("png", "svg", "pdf", "csv")]
    assert out[-4:] == [str(path) for path in files]
    assert all(path.stat().st_size for path in files)
    assert out[0].startswith("resnet14, step 0: ‖∂loss/∂y‖ grows x ")
    found = rows(files[-1])
    record = Record.read(trained / "plain8")
    last = [row for row in found if row["run"] == "plain8" and row["step"] == "8"]
    assert last[0]["layer"] == "bn1"
    column = record.layer.tolist().index("bn1")
    assert float(last[0]["value"]) == record.gradient_norm[-1, column]


@pytest.mark.parametrize("name", ["heatmap", "updates", "zeros", "branches", "split"])
def test_figures_of_a_record(name, trained, tmp_path, capsys):
    assert main(["flow", name, str(trained / "resnet14" / "flow.npz"), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for path in tmp_path.iterdir():
        assert str(path) in out
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".csv"}


def test_a_comparison_stands_for_its_runs(trained, tmp_path, monkeypatch):
    for name in ("resnet14", "plain8"):
        (tmp_path / "both" / name).mkdir(parents=True)
        for file in ("config.json", "flow.npz"):
            (tmp_path / "both" / name / file).write_bytes((trained / name / file).read_bytes())
    (tmp_path / "both" / "compare.json").write_text("{}")
    out = str(tmp_path / "out")
    assert main(["flow", "norms", str(tmp_path / "both"), "--quantity", "gradient", "--out", out]) == 0
    assert {row["run"] for row in rows(tmp_path / "out" / "norms-gradient.csv")} == {"resnet14", "plain8"}


def test_a_new_folder_each_time(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["flow", "zeros", str(trained / "plain8")]) == 0
    assert main(["flow", "zeros", str(trained / "plain8")]) == 0
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(folder.name.startswith("flow-zeros-") for folder in folders)


def test_a_checkpoint_and_a_fresh_model_are_recorded_at_once(trained, tmp_path):
    (checkpoint,) = trained.glob("resnet14/checkpoint-*.safetensors")
    targets = [str(checkpoint), "plain8"]
    assert main(["flow", "norms", *targets, "--quantity", "gradient", "--out", str(tmp_path)]) == 0
    assert {(row["run"].split(",")[0], row["step"]) for row in rows(tmp_path / "norms-gradient.csv")} == {
        ("resnet14", "9"),
        ("plain8", "0"),
    }


def test_report(trained, tmp_path, capsys):
    path = tmp_path / "new" / "report.html"
    assert main(["flow", "report", str(trained / "resnet14"), str(trained / "plain8"), "--out", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("signal", "lesion") else pytest.param(name, marks=pytest.mark.slow)
        for name in (*MEASURES, "lesion", "truncate", "shuffle")
    ],
)
def test_measures_of_a_trained_net(name, trained, tmp_path, capsys):
    assert main(["flow", name, str(trained / "resnet14"), "--out", str(tmp_path), *QUICK.get(name, [])]) == 0
    assert capsys.readouterr().out.startswith("resnet14: ")
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".csv"}
    (table,) = tmp_path.glob("*.csv")
    assert {row["run"] for row in rows(table)} == {"resnet14"}


def test_bands_over_fresh_nets(tmp_path, capsys):
    options = ["--seeds", "0", "1", "2", "--bands", "--images", "8", "--out", str(tmp_path)]
    assert main(["flow", "signal", "dense5", "dense-plain5", *options]) == 0
    found = rows(tmp_path / "signal.csv")
    assert {(row["run"], row["seed"]) for row in found} == {(m, s) for m in ("dense5", "dense-plain5") for s in "012"}


def test_init_says_where_gradients_vanish(tmp_path, capsys):
    assert main(["flow", "init", "dense12", "--scales", "0.5", "1", "--images", "64", "--out", str(tmp_path)]) == 0
    found = rows(tmp_path / "init-growth.csv")
    growth = {(row["scale"], row["batch norm"], row["shortcut"]): float(row["growth"]) for row in found}
    assert growth["0.5", "False", "False"] < 0.7, "half of He's scale without batch norm: they vanish"
    assert 0.9 < growth["1.0", "False", "False"] < 1.1
    assert growth["1.0", "True", "False"] > 1.1, "with batch norm they explode"
    assert {path.name for path in tmp_path.glob("*.png")} == {"init-norms.png", "init-growth.png"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "command"),
        (["nroms"], 2, "nroms"),
        (["norms"], 2, "nothing to draw: name run folders"),
        (["report"], 2, "nothing to draw"),
        (["norms", "runs/none"], 1, "runs/none does not exist"),
        (["norms", "resnet9"], 2, "9 is not such a number"),
        (["norms", "rsnet20"], 2, "did you mean 'resnet20'"),
        (["norms", "RUN", "--quantity", "gradeint"], 2, "did you mean 'gradient'"),
        (["norms", "RUN", "--kinds", "Conv"], 2, "did you mean 'Conv2d'"),
        (["norms", "RUN", "--bands"], 2, "no two records"),
        (["heatmap", "RUN", "--bands"], 2, "no room for bands"),
        (["branches", "PLAIN"], 1, "no residual block"),
        (["lesion", "resnet14"], 2, "wants a trained net"),
        (["paths", "RUN/flow.npz"], 1, "is a record"),
        (["paths", "PLAIN"], 1, "plain"),
        (["shuffle", "PLAIN"], 2, "no stack of modules"),
        (["paths", "RUN", "--block", "7"], 2, "no block 7"),
        (["paths", "RUN", "--images", "0"], 2, "images is 0"),
        (["init", "plain8"], 2, "one residual model"),
        (["init", "PLAIN"], 2, "one residual model"),
        (["init", "resnet8", "--shortcut", "none"], 2, "one residual model"),
        (["init", "resnet8", "--seeds"], 2, "--seeds is empty"),
        (["init", "resnet8", "--scales", "nan"], 2, "positive factors"),
        (["norms", "RUN", "--quantity"], 2, "--quantity is empty"),
        (["heatmap", "RUN", "--quantity"], 2, "--quantity is empty"),
        (["paths", "resnet8", "--seeds", "-1"], 2, "--seeds is -1"),
        (["signal", "dense4", "--shortcut", "B"], 2, "dense4 takes no shortcut B"),
        (["landscape", "RUN", "--direction", "-1"], 2, "--direction is -1"),
        (["shuffle", "RUN", "--exchanges", "-1"], 2, "--exchanges is -1"),
        (["shuffle", "RUN", "--exchanges"], 2, "--exchanges is empty"),
        (["shattered", "RUN", "--images", "1"], 2, "2 or more are wanted"),
        (["shattered", "RUN", "--points", "3"], 1, "15 lags of 3 values"),
        (["shattered", "RUN", "--points", "-3"], 2, "points is -3"),
        (["coactivation", "RUN", "--images", "1"], 1, "two or more"),
        (["landscape", "RUN", "--points", "1"], 2, "2 points or more"),
        (["jacobian", "RUN", "--end", "layer9"], 2, "did you mean 'layer"),
        (["signal", "RUN", "--style", "papr"], 2, "papr"),
    ],
)
def test_mistakes(arguments, code, said, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"RUN": str(trained / "resnet14"), "PLAIN": str(trained / "plain8")}
    typed = [places.get(each.split("/")[0], each.split("/")[0]) + each[len(each.split("/")[0]) :] for each in arguments]
    assert main(["flow", *typed]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_run_without_a_record(trained, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    assert main(["flow", "norms", str(tmp_path)]) == 1
    assert "train with `tinyres train --flow`" in capsys.readouterr().err


def test_nan_is_shown_and_located(trained, tmp_path, capsys):
    record = Record.read(trained / "plain8")
    column = record.layer.tolist().index("layer2.0.bn2")
    record.gradient_norm[-1, column], record.gradient_nonfinite[-1, column] = np.nan, 4
    record.write(tmp_path / "broken.npz")
    assert main(["flow", "norms", str(tmp_path / "broken.npz"), "--quantity", "gradient", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "plain8 on digits, seed 0: step 8: the gradient of layer2.0.bn2 is not finite (4 values)" in out
    assert "1 of 8 are 0 or not finite, first layer2.0.bn2" in out


def test_responses_of_dense_nets_are_alike(tmp_path):
    """A plain dense net has a batch norm after each layer, the next one's: all are measured after their weights."""
    options = ["--images", "32", "--out", str(tmp_path)]
    assert main(["flow", "responses", "dense4", "dense-plain4", "resnet8", "--data", "digits", *options]) == 0
    found = rows(tmp_path / "responses.csv")
    for model in ("dense4", "dense-plain4", "resnet8"):
        spread = [float(row["std"]) for row in found if row["run"] == model]
        assert max(abs(value - 1) for value in spread) > 0.02, model


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """A run on images of one's own, three channels of 8 x 8 in two classes, with shortcuts C."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in "ab":
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            for number in range(4):
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    data = str(tmp_path / "images")
    return fit(Config(model="resnet8", shortcut="C", data=data, iterations=1, runs=str(tmp_path), name="own")).folder


def test_init_of_a_run_takes_its_data_and_shortcuts(coloured, tmp_path):
    assert main(["flow", "init", str(coloured), "--scales", "1", "--images", "4", "--out", str(tmp_path / "out")]) == 0
    found = rows(tmp_path / "out" / "init-norms.csv")
    net = models.create("resnet8", shortcut="C", in_channels=3, num_classes=2)
    measured = net_of(str(coloured), images=4)
    expected = gradient_by_depth(net, measured.x, measured.labels).norm
    own = [float(row["norm"]) for row in found if (row["batch norm"], row["shortcut"]) == ("1", "1")]
    np.testing.assert_allclose(own, expected, rtol=1e-6)
