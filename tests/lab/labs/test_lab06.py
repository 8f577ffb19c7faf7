"""Lab 6: what it calls right is right, and its mistakes can be told apart, or are errors that a GPU would hide."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinyres.kernels.naive import conv
from tinyres.lab import catalogue
from tinyres.lab.check import cases_of
from tinyres.lab.compare import differs, tolerance
from tinyres.lab.diagnose import apply
from tinyres.lab.labs.lab06_gpu import reference

LAB = catalogue.lab("06")
KEYS = [task.key for task in LAB.tasks]


def public(key, seed=0, hidden=False):
    return cases_of(LAB.task(key), seed, hidden)


def alike(case, task, one, other):
    (first,), (second,) = one.values(), other.values()
    allowed = tolerance(case, first, task.checks.terms(case))
    return first.shape == second.shape and not differs(first, second, allowed).any()


def test_the_convolutions_are_those_of_the_oracle():
    for case in public("gpu.forward", hidden=True):
        x, w = case.arrays.values()
        assert np.allclose(reference.forward(case)["y"], conv.conv2d(x, w, **case.params))
    for case in public("gpu.input", hidden=True):
        assert np.allclose(
            reference.input_gradient(case)["dx"], conv.conv2d_input(*case.arrays.values(), **case.params)
        )
    for case in public("gpu.weight", hidden=True):
        assert np.allclose(
            reference.weight_gradient(case)["dw"], conv.conv2d_weight(*case.arrays.values(), **case.params)
        )


def test_a_dilated_convolution_is_one_with_zeros_between_the_taps():
    for case in public("gpu.dilated", hidden=True):
        x, w = case.arrays.values()
        d, (r, s) = case.params["dilation"], w.shape[:2]
        wide = np.zeros(((r - 1) * d + 1, (s - 1) * d + 1, *w.shape[2:]))
        wide[::d, ::d] = w
        wanted = conv.conv2d(x, wide, stride=case.params["stride"], padding=case.params["padding"], groups=1)
        assert np.allclose(reference.forward(case)["y"], wanted)


def test_a_filtered_image_is_a_convolution_of_one_channel():
    for case in public("gpu.tile", hidden=True):
        x, w = case.arrays.values()
        wanted = conv.conv2d(
            x[None, :, :, None], w[:, :, None, None], stride=1, padding=case.params["padding"], groups=1
        )
        assert np.allclose(reference.filtered(case)["y"], wanted[0, :, :, 0])


@pytest.mark.parametrize("key", KEYS)
def test_every_mistake_differs_from_what_is_right_and_from_every_other(key):
    task, cases = LAB.task(key), public(key)
    made = {recipe.name: [apply(task, (recipe,), case) for case in cases] for recipe in task.checks.recipes}
    assert len(made) == len(task.checks.recipes)
    made[""] = [task.checks.reference(case) for case in cases]
    same = [
        (one, other)
        for one in made
        for other in made
        if one < other and all(map(alike, cases, [task] * len(cases), made[one], made[other]))
    ]
    assert same == []


def test_at_least_twelve_mistakes():
    assert all(
        len(LAB.task(key).checks.recipes) >= 12 for key in ("gpu.forward", "gpu.input", "gpu.weight", "gpu.total")
    )
    for task in LAB.tasks:
        assert all(recipe.sentence.startswith("equals what you get ") for recipe in task.checks.recipes)


@pytest.mark.parametrize("key", KEYS)
def test_cases(key):
    task = LAB.task(key)
    cases = public(key, hidden=True)
    assert 5 <= sum(not case.hidden for case in cases) <= 9
    assert 4 <= sum(case.hidden for case in cases) <= 6
    assert len({case.name for case in cases}) == len(cases)
    for case, again in zip(cases, public(key, hidden=True), strict=True):
        assert case.name == again.name
        assert all(np.array_equal(array, again.arrays[name]) for name, array in case.arrays.items())
        (result,) = task.checks.reference(case).values()
        assert 1 <= result.size <= 220, "the simulator takes a thread for each"
    assert not np.array_equal(cases[0].arrays[task.arrays[0]], public(key, 1)[0].arrays[task.arrays[0]])


def test_the_texts_name_every_task():
    hints = (LAB.folder / "hints.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)$", hints, re.M) == KEYS
    for part in hints.split("\n## ")[1:]:
        assert 1 <= len(re.findall(r"^\d+\. ", part, re.M)) <= 3
    for name in ("README.md", "guide.md"):
        text = (LAB.folder / name).read_text(encoding="utf-8")
        assert all(key in text for key in KEYS)
        assert "not yet run on a GPU" in text
