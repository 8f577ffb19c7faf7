"""A class of five, made by hand: one right, one wrong, one hostile, one refused, one that is not there at all."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyres.lab.results import CaseResult, Report, SpeedResult, TaskResult
from tinyres.lab.task import Case, Checks, Lab, Source, Speed, Task

MARKUP = "<script>alert('&')</script>"


def cases(count):
    return lambda rng: (Case(f"N{k}", {"x": rng.standard_normal(3)}) for k in range(count))


@pytest.fixture
def lab(tmp_path):
    def task(key, points, speed=None):
        checks = Checks(cases(3), cases(1), lambda case: {"y": case.arrays["x"]}, speed=speed)
        return Task(key, f"the {key}", points, "conv.py", "conv2d", ("x",), ("y",), checks)

    timed = Speed(2.0, (1.0, 10.0), lambda rng: Case("fast", {"x": np.ones(3)}))
    return Lab(
        "02-convolution",
        "Columns & the convolution",
        60,
        tmp_path,
        (Source("conv.py", "tinyres.kernels.on_numpy.conv"),),
        (task("conv.forward", 4.0), task("conv.weight", 8.0, timed)),
    )


def case(name, passed=True, **said):
    return CaseResult(name, passed, **said)


FLIPPED = {
    "gap": "dw[3,0]: got +15.1914, expected -14.7000",
    "cause": "equals what you get if dw is turned by 180 degrees",
    "recipes": ("flipped",),
}


@pytest.fixture
def reports(lab):
    """By hand, in their order."""

    def report(name, *tasks, **said):
        return Report(lab.id, name, 7, tuple(tasks), lab.points, version="1.0", extra={"done": True}, **said)

    def forward(*results, **said):
        return TaskResult("conv.forward", "the conv.forward", 4.0, results, **said)

    def weight(*results, ratio=0.0, points=0.0):
        speed = SpeedResult(ratio, points, 2.0)
        return TaskResult("conv.weight", "the conv.weight", 8.0, results, speed)

    right = [case("N0"), case("N1"), case("N2"), case("N0", hidden=True)]
    flipped = [case("N0"), case("N1", False, **FLIPPED), case("N2", False, **FLIPPED)]
    hung = case("N0", False, problem=f"was not done after 5 s {MARKUP}", kind="timeout")
    rest = [case(f"N{k}", False, problem="not run: N0 took too long", kind="stopped") for k in (1, 2)]
    forwards = forward(hung, *rest, stopped="N0 took too long")
    return [
        report("ada", forward(*right), weight(*right, ratio=63.1, points=2.0)),
        report("bob", forward(*right), weight(*flipped, case("N0", False, hidden=True, **FLIPPED))),
        replace(report("cem", forwards, weight(*right, ratio=3.0, points=1.0)), printed=f"{MARKUP}\x1b[31m\ud800"),
        report(MARKUP, forward(*right), weight(*right), refused="conv.py, line 3: import torch is not allowed"),
        report("eve", refused="eve.zip is damaged or no zip; pack it again.", notes=("a note",)),
    ]


@pytest.fixture
def faults():
    """The check of a results.json against its published form."""
    spec = importlib.util.spec_from_file_location("schema", Path(__file__).with_name("schema.py"))
    schema = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schema)
    return schema.faults
