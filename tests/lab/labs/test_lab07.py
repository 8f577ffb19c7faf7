"""Lab 7: its reference against the oracle and the library, its mistakes, its judge, and the library as a solution."""

from __future__ import annotations

import builtins
import importlib

import numpy as np
import pytest

from tinyres.errors import LabError
from tinyres.kernels import registry
from tinyres.lab import catalogue
from tinyres.lab.compare import gap, shapes, wrong
from tinyres.lab.labs.lab07_training import adapter, digits, reference, training
from tinyres.optim.schedules import Constant, Cosine, LinearWarmup, MultiStep

LAB = catalogue.lab("07-training")
KEYS = [task.key for task in LAB.tasks if task.checks.judge is None]


def cases(task, seed=5):
    checks = task.checks
    every = [*checks.cases(np.random.default_rng(seed)), *checks.hidden(np.random.default_rng(seed))]
    return [case.rounded() for case in every]


@pytest.mark.parametrize(
    ("key", "op"),
    [
        ("loss.value", "softmax_cross_entropy"),
        ("loss.gradient", "softmax_cross_entropy_gradient"),
        ("sgd.update", "sgd"),
    ],
)
def test_reference_is_the_oracle(key, op):
    task = LAB.task(key)
    for case in cases(task):
        params = {name: value for name, value in case.params.items() if name != "in_place"}
        right = registry.find(op, "naive").function(*(case.arrays[name] for name in task.arrays), **params)
        right = right if isinstance(right, tuple) else (right,)
        for name, value in zip(task.results, right, strict=True):
            np.testing.assert_allclose(task.checks.reference(case)[name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("key", "schedule"),
    [
        ("rate.multi_step", lambda p: MultiStep(p["base"], p["milestones"], p["divisor"])),
        ("rate.cosine", lambda p: Cosine(p["base"], p["total"], p["start"])),
        ("rate.warm_up", lambda p: LinearWarmup(Constant(p["rate"]), p["steps"])),
    ],
)
def test_reference_is_the_schedule_of_the_library(key, schedule):
    for case in cases(LAB.task(key)):
        rates = [schedule(case.params).lr(int(t)) for t in case.arrays["steps"]]
        np.testing.assert_allclose(LAB.task(key).checks.reference(case)["rate"], rates, rtol=1e-13, atol=1e-16)


def test_gradients_by_finite_differences():
    """Of the loss with smoothed labels, of which no smoothing is the usual one."""
    for case in cases(LAB.task("loss.smoothed")):
        logits, labels, s = case.arrays["logits"], case.arrays["labels"], case.params["smoothing"]
        target = (1 - s) * np.eye(logits.shape[1])[labels] + s / logits.shape[1]
        direction = np.random.default_rng(0).standard_normal(logits.shape)

        def loss(step, z=logits, t=target, d=direction):
            moved = z + step * d
            moved = moved - moved.max(1, keepdims=True)
            return float((t * (np.log(np.exp(moved).sum(1, keepdims=True)) - moved)).sum() / len(z))

        slope = case.arrays["dloss"] * (loss(1e-4) - loss(-1e-4)) / 2e-4
        assert abs(slope - (reference.smoothed(case)["dlogits"] * direction).sum()) < 1e-6
        np.testing.assert_allclose(
            reference.smoothed(case.but(smoothing=0.0))["dlogits"], reference.loss_gradient(case)["dlogits"], atol=1e-15
        )


def test_decoupled_decay_at_no_decay_is_sgd_and_clipping_keeps_the_direction():
    for case in cases(LAB.task("sgd.decoupled")):
        bare = case.but(weight_decay=0.0, nesterov=False)
        for name, value in reference.decoupled(bare).items():
            np.testing.assert_allclose(value, reference.sgd(bare)[name], rtol=1e-14)
    for case in cases(LAB.task("sgd.clip")):
        g, most = case.arrays["g"], case.params["most"]
        clipped = reference.clipped(case)["clipped"]
        assert np.linalg.norm(clipped) <= most * (1 + 1e-12)
        np.testing.assert_allclose(clipped * np.linalg.norm(g), g * np.linalg.norm(clipped), rtol=1e-12)


@pytest.mark.parametrize("key", KEYS)
def test_cases_are_of_the_seed(key):
    task = LAB.task(key)
    first, again, other = cases(task, 1), cases(task, 1), cases(task, 2)
    name = task.arrays[-1] if "logits" not in task.arrays else "logits"
    for case, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(case.arrays[name], same.arrays[name])
        assert case.params == same.params
    assert any(not np.array_equal(a.arrays[name], b.arrays[name]) for a, b in zip(first, other, strict=True))
    assert len({case.name for case in first}) == len(first)


def run(task, case):
    """The library's function as a submission: through the adapter as in a worker, or as a kernel."""
    modules = {source.file: importlib.import_module(source.module) for source in LAB.sources}
    arrays = {}
    for name in task.arrays:
        array = case.arrays[name]
        array = array.astype(case.dtype) if array.dtype.kind == "f" else array
        if case.layout == "strided" and array.ndim:
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        arrays[name] = array
    outs = {
        name: np.full(shape, np.nan, dtype)
        for name, (shape, dtype) in shapes(case, task.checks.reference(case)).items()
    }
    if task.key in adapter.CALLS:
        return adapter.CALLS[task.key](modules, arrays, case.params, outs)
    out = tuple(outs.values()) if len(outs) > 1 else next(iter(outs.values()))
    getattr(modules[task.file], task.function)(*arrays.values(), **case.params, out=out)
    return outs


@pytest.mark.parametrize("key", KEYS)
def test_the_library_is_a_solution(key):
    task = LAB.task(key)
    for case in cases(task):
        expected, got, terms = task.checks.reference(case), run(task, case), task.checks.terms(case)
        names = wrong(case, expected, got, terms / 4)
        assert not names, gap(case, expected, got, names, terms)


def trained(case, **changed):
    settings = {name: case.params[name] for name in ("epochs", "batch", "seed")} | changed
    return training.train(case.arrays["images"].astype(np.float32), case.arrays["labels"], **settings)


def test_training_reaches_a_target_and_the_judge_says_so():
    task = LAB.task("train.digits")
    case = cases(task)[0]
    weights = trained(case)
    assert weights.dtype == np.float32
    assert {"w": weights.shape} == {name: array.shape for name, array in task.checks.reference(case).items()}
    assert digits.judge(case, {"w": weights}) == ""
    np.testing.assert_array_equal(weights, trained(case))


@pytest.mark.slow
def test_training_reaches_every_target_from_any_start():
    for seed in range(5):
        for case in cases(LAB.task("train.digits"), seed):
            assert digits.judge(case, {"w": trained(case)}) == ""


def test_the_judge_says_what_is_wrong_with_weights():
    case = next(iter(cases(LAB.task("train.digits"))))
    start = training.initial(case.params["seed"])
    assert "nothing was learned" in digits.judge(case, {"w": start})
    said = digits.judge(case, {"w": np.zeros_like(start)})
    assert "nearly every image is taken for a 0" in said
    assert said.startswith("test error 89.4 % (322 of 360 images), asked for is 5 % at most")
    assert "not even its own images" in digits.judge(case, {"w": trained(case, epochs=1)})
    with np.errstate(all="ignore"):
        assert digits.judge(case, {"w": np.full_like(start, np.inf)})


def test_images_that_come_sorted_need_a_new_order(monkeypatch):
    case = next(case for case in cases(LAB.task("train.digits")) if "sorted" in case.name)
    assert (np.diff(case.arrays["labels"]) >= 0).all()
    monkeypatch.setattr(np.random, "default_rng", lambda seed: NoOrder())
    assert "asked for is 4 %" in digits.judge(case, {"w": trained(case)})


class NoOrder:
    def __init__(self):
        self.rng = np.random.Generator(np.random.PCG64(0))
        self.standard_normal = self.rng.standard_normal

    def permutation(self, count):
        return np.arange(count)


def test_the_held_out_images_stay_here():
    """No image of the test is among those that a submission gets."""
    images, _, held_out, labels = digits.sets()
    assert (len(images), len(held_out), len(labels)) == (1437, 360, 360)
    known = {image.tobytes() for image in images}
    for case in cases(LAB.task("train.digits")):
        assert case.arrays.keys() == {"images", "labels"}
        assert {image.tobytes() for image in case.arrays["images"].astype(np.float32)} <= known
    assert sum(image.tobytes() in known for image in held_out) == 0


def test_without_scikit_learn_it_says_what_to_do(monkeypatch):
    def refuse(name, *rest, **more):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError("No module named 'sklearn'")
        return real(name, *rest, **more)

    real = builtins.__import__
    digits.sets.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(LabError, match="pip install scikit-learn"):
        digits.sets()
