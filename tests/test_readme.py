"""What the README shows is true: its Python prints what its comments say, its commands exist, its counts hold."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
import shlex
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


def test_the_step_ratios_are_those_of_the_log():
    ((told, file),) = re.findall(r"(`numpy` takes .*? as long) \| \[step_vs_torch\]\(([^)]+)\)", README)
    log = json.loads((Path(__file__).parents[1] / file).read_text(encoding="utf-8"))
    ratios = {name: f"{entry['ratio']:.2f}" for name, entry in log["steps"].items()}
    assert told == f"`numpy` takes {ratios['tinyres numpy']} times, `numba` {ratios['tinyres numba']} times as long"


def test_the_errors_are_those_of_the_logs():
    results, text = Path(__file__).parents[1] / "benchmarks" / "results", " ".join(README.split())
    last = json.loads((results / "digits_resnet20" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    wrong, seconds = last["test_error"], last["seconds"]
    assert f"test error {100 * wrong:.2f} % ({360 * wrong:.0f} of 360 images), in {seconds:.1f} s" in text
    networks = json.loads((results / "digits_depth" / "compare.json").read_text(encoding="utf-8"))["networks"]
    plain, residual = (100 * networks[name]["median"]["train_error"] for name in ("plain56", "resnet56"))
    assert f"training error {plain:.2f} % and {residual:.2f} %" in text
    assert f"{plain:.0f} % training error without shortcuts and at {residual:.0f} % with them" in text
