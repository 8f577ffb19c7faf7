"""Lab 4: its reference against the oracle and finite differences, its mistakes, and the library as a solution."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from tinyres.kernels import registry
from tinyres.lab import catalogue
from tinyres.lab.compare import differs, gap, shapes, tolerance, wrong
from tinyres.lab.labs.lab04_batch_norm import reference

LAB = catalogue.lab("04-batch-norm")
KEYS = [task.key for task in LAB.tasks]
ORACLES = {
    "bn.eval": ("batch_norm_eval", "y"),
    "bn.forward": ("batch_norm", "y mean variance"),
    "bn.running": ("running_averages", "new_mean new_var"),
}


def cases(task, seed=5):
    checks = task.checks
    every = [*checks.cases(np.random.default_rng(seed)), *checks.hidden(np.random.default_rng(seed))]
    return [case.rounded() for case in every]


@pytest.mark.parametrize("key", ORACLES)
def test_reference_is_the_oracle(key):
    task, (op, names) = LAB.task(key), ORACLES[key]
    for case in cases(task):
        right = registry.find(op, "naive").function(*(case.arrays[name] for name in task.arrays), **case.params)
        right = right if isinstance(right, tuple) else (right,)
        for name, value in zip(names.split(), right, strict=True):
            np.testing.assert_allclose(task.checks.reference(case)[name], value, rtol=1e-12, atol=1e-12)


def test_gradients_are_the_oracle():
    for case in cases(LAB.task("bn.input")):
        a = case.arrays
        dx, dgamma, dbeta = registry.find("batch_norm_gradient", "naive").function(
            a["dy"], a["x"], a["gamma"], a["mean"], a["variance"], **case.params
        )
        both = reference.parameter_gradients(case)
        np.testing.assert_allclose(both["dgamma"], dgamma, atol=1e-12)
        np.testing.assert_allclose(both["dbeta"], dbeta, atol=1e-12)
        np.testing.assert_allclose(reference.input_gradient(case.but(both))["dx"], dx, atol=1e-12)


def test_input_gradient_by_finite_differences():
    """Through the statistics too."""
    case = next(c for c in cases(LAB.task("bn.input")) if c.dtype == "float64")
    case = case.but({"beta": np.zeros_like(case.arrays["gamma"])})
    direction = np.random.default_rng(0).standard_normal(case.arrays["x"].shape)

    def loss(step):
        y = reference.batch_norm(case.but({"x": case.arrays["x"] + step * direction}))["y"]
        return float((case.arrays["dy"] * y).sum())

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert abs(slope - (reference.input_gradient(case)["dx"] * direction).sum()) < 1e-7 * max(1, abs(slope))


def test_group_norm_of_whole_samples_has_mean_zero_and_variance_one():
    for case in cases(LAB.task("bn.group")):
        ones = case.but(
            {"gamma": np.ones_like(case.arrays["gamma"]), "beta": np.zeros_like(case.arrays["beta"])}, eps=0
        )
        y, groups = reference.group_norm(ones)["y"], case.params["groups"]
        grouped = y.reshape(len(y), -1, groups, y.shape[-1] // groups)
        np.testing.assert_allclose(grouped.mean((1, 3)), 0, atol=1e-12)
        np.testing.assert_allclose(grouped.var((1, 3)), 1, atol=1e-12)


@pytest.mark.parametrize("key", KEYS)
def test_cases_are_of_the_seed_and_differ_in_every_axis(key):
    task = LAB.task(key)
    first, again, other = cases(task, 1), cases(task, 1), cases(task, 2)
    for case, same, different in zip(first, again, other, strict=True):
        name = task.arrays[0]
        np.testing.assert_array_equal(case.arrays[name], same.arrays[name])
        assert not np.array_equal(case.arrays[name], different.arrays[name])
        sizes = [size for size in np.shape(case.arrays.get("x", 0)) if size > 1]
        assert len(set(sizes)) == len(sizes)
    assert len({case.name for case in first}) == len(first)
    assert {case.dtype for case in first} == {"float32", "float64"}
    assert {case.layout for case in first} == {"contiguous", "strided"}


def run(task, case, module=None):
    """A function, the library's by default, as a submission: in the case's type and layout, into arrays of NaN."""
    module = module or next(source.module for source in LAB.sources if source.file == task.file)
    arrays = []
    for name in task.arrays:
        array = case.arrays[name].astype(case.dtype)
        if case.layout == "strided":
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        arrays.append(array)
    out = [np.full(shape, np.nan, dtype) for shape, dtype in shapes(case, task.checks.reference(case)).values()]
    function = getattr(importlib.import_module(module), task.function)
    function(*arrays, **case.params, out=tuple(out) if len(out) > 1 else out[0])
    return dict(zip(task.results, out, strict=True))


@pytest.mark.parametrize("key", KEYS)
def test_the_library_is_a_solution_with_room_to_spare(key):
    """An eighth of the tolerance is enough for it: another order of summation fits too."""
    task = LAB.task(key)
    for case in cases(task):
        expected, got = task.checks.reference(case), run(task, case)
        names, terms = wrong(case, expected, got, task.checks.terms(case)), task.checks.terms(case)
        assert not names, gap(case, expected, got, names, terms)
        for name, right in expected.items():
            assert not differs(right, got[name], tolerance(case, right, terms) / 8).any(), (case.name, name)


@pytest.mark.parametrize("key", [task.key for task in LAB.tasks if task.checks.speed])
def test_the_naive_loops_are_right(key):
    task = LAB.task(key)
    for case in [task.checks.speed.case(np.random.default_rng(1)).rounded(), *cases(task)]:
        got = run(task, case, "tinyres.lab.labs.lab04_batch_norm.naive")
        assert not wrong(case, task.checks.reference(case), got, task.checks.terms(case)), case.name


def school(case):
    """Mean(x^2) - mean(x)^2, in the type of the case."""
    x = case.arrays["x"].astype(case.dtype)
    mean = x.mean(reference.over(x))
    return {"mean": mean, "variance": (x * x).mean(reference.over(x)) - mean * mean}


def test_a_variance_that_cancels_is_caught():
    caught = 0
    for seed in range(20):
        case = next(c for c in cases(LAB.task("bn.forward"), seed) if c.name.endswith("far"))
        x, s = case.arrays["x"].astype("float32"), school(case)
        y = (x - s["mean"]) / np.sqrt(s["variance"] + np.float32(case.params["eps"]))
        y = y * case.arrays["gamma"] + case.arrays["beta"]
        caught += bool(wrong(case, reference.batch_norm(case), {"y": y.astype("float32"), **s}, 60.0))
    assert caught == 20
