"""A small lab for the tests of checking: one convolution, and one function with two results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinyres.kernels import registry
from tinyres.lab import check
from tinyres.lab.sandbox import Answer
from tinyres.lab.task import Case, Checks, Lab, Recipe, Source, Speed, Task

CONV = """
def conv(x, w, *, stride, padding, out=None):
    ...
"""


def oracle(op, *arrays, **params):
    return registry.find(op, "naive").function(*arrays, groups=1, **params)


def conv_reference(case):
    y = oracle("conv2d", case.arrays["x"], case.arrays["w"], **case.params)
    return {"y": y}


def conv_case(rng, n, h, c, r, f, stride, pad, **options):
    """h, r: pairs of rows and columns."""
    name = f"N{n}-{h[0]}x{h[1]}-C{c}-F{f}-k{r[0]}x{r[1]}-s{stride}-p{pad}"
    arrays = {"x": rng.standard_normal((n, *h, c)), "w": rng.standard_normal((*r, c, f))}
    return Case(name, arrays, {"stride": stride, "padding": (pad,) * 4}, **options)


def conv_cases(rng):
    yield conv_case(rng, 1, (3, 4), 2, (1, 1), 5, 1, 0)
    yield conv_case(rng, 2, (6, 5), 3, (3, 2), 4, 1, 0)
    yield conv_case(rng, 2, (7, 8), 3, (3, 2), 4, 2, 1)
    yield conv_case(rng, 3, (7, 8), 2, (2, 3), 4, 1, 1, dtype="float64", layout="strided")


def conv_hidden(rng):
    yield conv_case(rng, 2, (9, 6), 3, (2, 3), 5, 3, 2)
    yield conv_case(rng, 4, (5, 6), 2, (3, 3), 3, 1, 1)


def says(what):
    return f"equals what you get if {what}"


CONV_RECIPES = (
    Recipe("flipped", says("w is turned by 180 degrees"), before=lambda c: c.but({"w": c.arrays["w"][::-1, ::-1]})),
    Recipe("no-stride", says("the stride is ignored"), before=lambda c: c.but(stride=1)),
    Recipe(
        "one-sided",
        says("zeros are put on one side only"),
        before=lambda c: c.but(padding=(0, 2 * c.params["padding"][0], 0, 2 * c.params["padding"][0])),
    ),
    Recipe(
        "channels-turned", says("channels are read backwards"), before=lambda c: c.but({"x": c.arrays["x"][..., ::-1]})
    ),
    Recipe("per-sample", says("y is divided by the batch"), after=lambda r, c: {"y": r["y"] / c.arrays["x"].shape[0]}),
    Recipe("halved", says("y is halved"), after=lambda r, c: {"y": r["y"] / 2}),
    Recipe(
        "ones",
        says("the filters are not used"),
        instead=lambda c: conv_reference(c.but({"w": np.ones_like(c.arrays["w"])})),
    ),
)

CONV_CHECKS = Checks(
    cases=conv_cases,
    hidden=conv_hidden,
    reference=conv_reference,
    recipes=CONV_RECIPES,
    terms=lambda case: float(np.prod(case.arrays["w"].shape[:3])),
    speed=Speed(4.0, (1.0, 10.0), lambda rng: conv_case(rng, 2, (9, 8), 3, (3, 3), 4, 1, 1)),
)


def sums_reference(case):
    x, g = case.arrays["x"], case.arrays["g"]
    return {"dx": g[:, None] * np.ones_like(x), "dg": (x * g[:, None]).sum(0)}


def sums_cases(rng):
    for n, c in ((2, 3), (5, 4), (7, 6)):
        yield Case(f"N{n}-C{c}", {"x": rng.standard_normal((n, c)), "g": rng.standard_normal(n)})


def slip(name, what, result, change):
    return Recipe(name, says(what), after=lambda r, c: {**r, result: change(r[result], c)})


SUMS_CHECKS = Checks(
    cases=sums_cases,
    hidden=sums_cases,
    reference=sums_reference,
    recipes=(
        slip("dx-mean", "dx is divided by the batch", "dx", lambda a, c: a / len(a)),
        slip("dx-sign", "dx has the wrong sign", "dx", lambda a, c: -a),
        slip("dg-mean", "dg is averaged", "dg", lambda a, c: a / len(c.arrays["x"])),
        Recipe("ones", says("g is taken for one"), before=lambda c: c.but({"g": np.ones_like(c.arrays["g"])})),
    ),
    terms=lambda case: float(len(case.arrays["x"])),
)


@pytest.fixture
def conv() -> Task:
    return Task("toy.conv", "The convolution", 6.0, "toy.py", "conv", ("x", "w"), ("y",), CONV_CHECKS)


@pytest.fixture
def sums() -> Task:
    return Task("toy.sums", "Two sums", 3.0, "toy.py", "sums", ("x", "g"), ("dx", "dg"), SUMS_CHECKS)


@pytest.fixture
def toy(conv, sums, tmp_path) -> Lab:
    folder = tmp_path / "toy_lab"
    folder.mkdir()
    (folder / "naive.py").write_text(CONV, encoding="utf-8")
    return Lab("02-toy", "A toy", 30, Path(folder), (Source("toy.py", "tinyres.toy"),), (conv, sums))


class Fake:
    """A sandbox in this process: `answers` maps a task's key to a function of a case that yields results or raises."""

    def __init__(self, answers, seconds=0.0):
        self.answers, self.seconds = answers, seconds
        self.calls, self.closed = [], False
        self.refused, self.printed, self.notes = "", "", ()

    def __call__(self, lab, folder, *, others=None, text=None):
        self.lab, self.folder, self.others, self.text = lab, folder, others, text
        return self

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.closed = True

    def call(self, task, case, shapes, twice=False):
        self.calls.append((task.key, case.name, twice))
        inputs = {k: a.astype(case.dtype) if a.dtype.kind == "f" else a.copy() for k, a in case.arrays.items()}
        found = [self._once(task, case, inputs) for _ in range(1 + twice)]
        if isinstance(found[0], tuple):
            kind, problem = found[0]
            if kind == "refused":
                self.refused = problem
            return Answer(None, inputs, None, self.seconds, kind, problem)
        return Answer(found[0], inputs, found[1] if twice else None, self.seconds)

    def _once(self, task, case, inputs):
        found = self.answers[task.key](case, inputs)
        if isinstance(found, tuple):
            return found
        return {k: np.asarray(a).astype(case.dtype) if np.asarray(a).dtype.kind == "f" else a for k, a in found.items()}

    def time(self, task, case, shapes, count):
        answer = self.call(task, case, shapes)
        return self.seconds * count, answer


@pytest.fixture
def faked(monkeypatch):
    """Put a fake in the place of the sandbox."""

    def put(answers, **options):
        fake = Fake(answers, **options)
        monkeypatch.setattr(check, "Sandbox", fake)
        return fake

    return put


@pytest.fixture
def right(conv, sums):
    """Answers that are right."""
    return {task.key: lambda case, inputs, task=task: task.checks.reference(case) for task in (conv, sums)}
