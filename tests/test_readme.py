"""What the README shows is true: its Python prints what its comments say, its commands exist, its counts hold."""

from __future__ import annotations

import contextlib
import csv
import importlib
import importlib.util
import io
import json
import math
import re
import shlex
import statistics
from pathlib import Path

import pytest
import tyro

from tinyres import cli, models

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("own_kernels")  # a kernel of the README stays here
def test_python_prints_what_its_comments_say():
    source = "".join(blocks("python"))
    expected = re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "README.md", "exec"), {})
    assert printed.getvalue().splitlines() == expected
    assert len(expected) == source.count("print(") > 0


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    shown = [*lines, *re.findall(r"`(tinyres [^`]*)`", README)]
    return sorted({part.strip() for line in shown for part in line.split("&&") if part.strip().startswith("tinyres ")})


@pytest.mark.parametrize("command", commands())
def test_commands_exist(command):
    _, name, *options = shlex.split(command)
    tyro.cli(importlib.import_module(f"tinyres.cli.{name}").Arguments, args=options)
    assert name in cli.COMMANDS


@pytest.mark.parametrize(
    ("name", "a", "b"), re.findall(r"^\| (resnet\d+) \| ([\d,]+) \| ([\d,]+) \|$", README, re.MULTILINE)
)
def test_parameter_counts(name, a, b):
    for shortcut, told in (("A", a), ("B", b)):
        counted = sum(parameter.size for parameter in models.create(name, shortcut=shortcut).parameters())
        assert f"{counted:,}" == told


def test_links_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert targets
    assert [target for target in targets if not (Path(__file__).parents[1] / target).exists()] == []


RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def record(name: str) -> dict:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def test_the_speeds_are_those_of_the_records():
    found = importlib.util.spec_from_file_location("performance_table", RESULTS.parent / "performance_table.py")
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    assert script.table() in README
    text = " ".join(README.split())
    steps = record("step_vs_torch-resnet20-batch128.json")["steps"]
    direct, readable = (f"{steps[name]['ratio']:.2f}" for name in ("tinyres numba", "tinyres numpy"))
    assert f"a step of ResNet-20 takes {direct} times as long as PyTorch's eager channels-last one" in text
    assert f"with the `numpy` kernels {readable} times" in text
    again = 1 / steps["tinyres numba.winograd"]["ratio"]
    assert f"chosen once more by name in the same rounds, came out at {again:.2f} instead" in text
    share = record("loop_vs_step-resnet20-batch128.json")["share"]
    assert f"runs at {100 * share:.0f} % of the speed of bare steps" in text


def test_the_memory_is_that_of_the_record():
    scaling, text = record("scaling.json"), " ".join(README.split())
    deepest = {row["mode"]: row for row in scaling["rows"] if (row["depth"], row["batch"]) == (1202, 128)}
    kept, recomputed = (deepest[mode]["peak_bytes"] / 1e9 for mode in ("kept", "recomputed"))
    assert f"ResNet-1202 at batch 128 needs {kept:.1f} GB, with `--recompute` {recomputed:.1f} GB" in text
    line = scaling["fits"]["kept"]["seconds"]
    worst = max(abs(residual) for residual in line["relative_residuals"].values())
    assert f"{1000 * line['a_layer']:.1f} ms a layer (largest residual {100 * worst:.0f} %)" in text
    (price,) = (p["time"] for p in scaling["price_of_recomputation"] if (p["depth"], p["batch"]) == (56, 128))
    assert f"{price:.2f} times as long (ResNet-56)" in text


def test_recording_costs_what_the_record_says():
    for kernels in ("default", "numpy"):
        assert record(f"flow_cost-resnet20-batch128-{kernels}.json")["cost"] < 0.05
    assert "costs less than 5 % of the time of a step" in " ".join(README.split())


def test_gradients_explode_as_the_log_says():
    rows = list(csv.DictReader((RESULTS / "digits_flow56" / "norms-gradient.csv").read_text().splitlines()))
    growth = {}
    for run in ("plain56", "resnet56"):
        points = [(float(r["depth"]), math.log(float(r["value"]))) for r in rows if (r["run"], r["step"]) == (run, "0")]
        growth[run] = math.exp(-statistics.linear_regression(*zip(*points, strict=True)).slope)
    said = (
        f"grows {growth['plain56']:.2f} times a layer toward the input, with shortcuts {growth['resnet56']:.2f} times"
    )
    assert said in " ".join(README.split())


def test_every_figure_is_named():
    flow = importlib.import_module("tinyres.cli.flow")
    names = {part.__metadata__[0].name for part in flow.Command.__args__}
    assert {name for name in names if f"`{name}`" not in README} == set()


def test_the_errors_are_those_of_the_logs():
    text = " ".join(README.split())
    last = json.loads((RESULTS / "digits_resnet20" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    wrong, seconds = last["test_error"], last["seconds"]
    assert f"test error {100 * wrong:.2f} % ({360 * wrong:.0f} of 360 images), in {seconds:.1f} s" in text
    networks = record("digits_depth/compare.json")["networks"]
    plain, residual = (100 * networks[name]["median"]["train_error"] for name in ("plain56", "resnet56"))
    assert f"training error {plain:.2f} % and {residual:.2f} %" in text
    cifar = json.loads((RESULTS / "cifar10_13_epochs" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert f"test error {100 * cifar['test_error']:.2f} % after 13 epochs" in text
    runs = json.loads((RESULTS.parents[1] / "lessons" / "logs" / "gradient_flow.json").read_text("utf-8"))["runs"]
    plain, residual = (
        100 * statistics.median(runs[f"{name} {seed}"]["train_error"] for seed in range(3))
        for name in ("plain56", "resnet56")
    )
    assert f"{plain:.0f} % training error without shortcuts and at {residual:.0f} % with them" in text
