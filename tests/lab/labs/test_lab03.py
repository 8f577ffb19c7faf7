"""Lab 3: its reference against the oracle and by finite differences, its mistakes, and other ways of doing it."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from tinyres.kernels import registry
from tinyres.kernels.on_numpy.parts import parts
from tinyres.lab import catalogue, start
from tinyres.lab.check import check
from tinyres.lab.compare import gap, shapes, wrong
from tinyres.lab.labs.lab02_convolution import reference as forward

LAB = catalogue.lab("03-convolution-gradients")
KEYS = [task.key for task in LAB.tasks]
FORWARD = {
    "grad.dilated": forward.dilated,
    "grad.circular": forward.circular,
    "grad.channels_first": forward.channels_first,
}


def cases(task, seed=5, hidden=True):
    rng = np.random.default_rng(seed)
    every = [*task.checks.cases(rng), *(task.checks.hidden(rng) if hidden else ())]
    return [case.rounded() for case in every]


@pytest.mark.parametrize(("key", "op"), [("conv.weight", "conv2d_weight"), ("conv.input", "conv2d_input")])
def test_reference_is_the_oracle(key, op):
    task = LAB.task(key)
    for case in cases(task):
        right = registry.find(op, "naive").function(*(case.arrays[name] for name in task.arrays), **case.params)
        np.testing.assert_allclose(task.checks.reference(case)[task.results[0]], right, atol=1e-12)


@pytest.mark.parametrize("key", FORWARD)
def test_gradients_of_the_variants_are_adjoint_to_them(key):
    """<dy, y(x + a, w)> - <dy, y(x, w)> = <dx, a>, as y is linear in x; and likewise in w."""
    rng = np.random.default_rng(0)
    for case in cases(LAB.task(key)):
        results, y = LAB.task(key).checks.reference(case), FORWARD[key](case)["y"]
        assert y.shape == case.arrays["dy"].shape
        for name in ("x", "w"):
            change = rng.standard_normal(case.arrays[name].shape)
            other = FORWARD[key](case.but({name: case.arrays[name] + change}))["y"]
            expected = (case.arrays["dy"] * (other - y)).sum()
            assert abs((results[f"d{name}"] * change).sum() - expected) < 1e-9


def test_errors_far_apart():
    for case in cases(LAB.task("conv.spread")):
        zeros, (dy, stride) = (
            LAB.task("conv.spread").checks.reference(case)["zeros"],
            (case.arrays["dy"], case.params["stride"]),
        )
        np.testing.assert_array_equal(zeros[:, ::stride, ::stride], dy)
        assert np.count_nonzero(zeros) == np.count_nonzero(dy)
        assert zeros.shape[1:3] == ((dy.shape[1] - 1) * stride + 1, (dy.shape[2] - 1) * stride + 1)


@pytest.mark.parametrize("key", KEYS)
def test_cases(key):
    """Of the seed; with a random dy; float64 and strided ones among them."""
    task = LAB.task(key)
    first, again, other = cases(task, 1), cases(task, 1), cases(task, 2)
    for case, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(case.arrays["dy"], same.arrays["dy"])
        assert not np.array_equal(case.arrays["dy"], different.arrays["dy"])
        assert set(case.arrays) == set(task.arrays)
    assert len({case.name for case in first}) == len(first)
    assert {case.dtype for case in first} == {"float32", "float64"}
    assert {case.layout for case in first} == {"contiguous", "strided"}
    assert len({case.params["stride"] for case in cases(task, hidden=False)}) > 1


def test_one_case_comes_in_several_parts():
    """For both gradients: else = instead of += over the parts would pass."""
    most = 0
    for case in cases(LAB.task("conv.weight"), hidden=False):
        x, dy = case.arrays["x"].astype(case.dtype), case.arrays["dy"]
        most = max(most, len(list(parts(x, case.params["shape"], dy.shape[1:3], 1))))
    assert most == 2
    most = 0
    for case in cases(LAB.task("conv.input"), hidden=False):
        dy, w = case.arrays["dy"].astype(case.dtype), case.arrays["w"]
        most = max(most, len(list(parts(dy, w.shape, case.params["shape"][1:3], 1))))
    assert most >= 2


def run(task, case):
    """The library's function on a case, its types as a submission's would be."""
    module = next(source.module for source in LAB.sources if source.file == task.file)
    function = getattr(importlib.import_module(module), task.function)
    arrays = [case.arrays[name].astype(case.dtype) for name in task.arrays]
    if task.key in ("conv.weight", "conv.input"):
        ((shape, dtype),) = shapes(case, task.checks.reference(case)).values()
        out = np.full(shape, np.nan, dtype)
        function(*arrays, **case.params, out=out)
        return {task.results[0]: out}
    got = function(*arrays, **case.params)
    return dict(zip(task.results, got if len(task.results) > 1 else (got,), strict=True))


@pytest.mark.parametrize("key", KEYS)
def test_the_library_is_a_solution(key):
    task = LAB.task(key)
    for case in cases(task):
        expected, got, terms = task.checks.reference(case), run(task, case), task.checks.terms(case)
        names = wrong(case, expected, got, terms)
        assert not names, gap(case, expected, got, names, terms)


SCATTERED = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from tinyres.kernels.registry import kernel


@kernel("conv2d_weight", "student")
def conv2d_weight(x, dy, *, shape, stride, padding, groups, out):
    t, b, l, r = padding
    padded = np.pad(x, ((0, 0), (t, b), (l, r), (0, 0)))
    seen = sliding_window_view(padded, tuple(shape[:2]), axis=(1, 2))[:, ::stride, ::stride]
    out[...] = np.einsum("nijcrs,nijf->rscf", seen, dy)


def spread(dy, stride):
    n, i, j, f = dy.shape
    apart = np.zeros((n, i, stride, j, stride, f), dy.dtype)
    apart[:, :, 0, :, 0] = dy
    return apart.reshape(n, i * stride, j * stride, f)[:, : 1 - stride or None, : 1 - stride or None]


@kernel("conv2d_input", "student")
def conv2d_input(dy, w, *, shape, stride, padding, groups, out):
    t, b, l, r = padding
    (n, h, width, c), (_, i, j, f) = shape, dy.shape
    total = np.zeros((n, h + t + b, width + l + r, c), dy.dtype)
    for p in range(w.shape[0]):
        for q in range(w.shape[1]):
            total[:, p : p + i * stride : stride, q : q + j * stride : stride][:, :i, :j] += dy @ w[p, q].T
    out[...] = total[:, t : t + h, l : l + width]
"""


def submitted(right="", slip=""):
    assert right in SCATTERED
    return {**start.solutions(LAB), "conv_gradients.py": SCATTERED.replace(right, slip) if right else SCATTERED}


def test_scattering_and_einsum_pass_too():
    report = check(LAB, LAB.folder, seed=7, hidden=True, text=submitted())
    assert not report.refused
    assert [case for task in report.tasks for case in task.cases if not case.passed] == []


@pytest.mark.parametrize(
    ("key", "right", "slip", "name"),
    [
        ("conv.weight", '->rscf", seen, dy)', '->rscf", seen, dy)[::-1, ::-1]', "filters turned"),
        pytest.param("conv.weight", "seen, dy)", "seen, dy) / len(x)", "divided by the batch", marks=pytest.mark.slow),
        ("conv.input", "[:, :i, :j] += dy", "[:, :i, :j] = dy", "overlaps overwritten by taps"),
        ("conv.input", "total[:, t : t + h, l : l + width]", "total[:, :h, :width]", "cut from the corner"),
        pytest.param("conv.input", "w[p, q].T", "w[-1 - p, -1 - q].T", "filters not turned", marks=pytest.mark.slow),
        pytest.param(
            "conv.spread",
            "[:, :, 0, :, 0] = dy",
            "[...] = dy[:, :, None, :, None]",
            "errors repeated",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_slip_in_them_is_named(key, right, slip, name):
    report = check(LAB, LAB.folder, seed=7, keys=(key,), text=submitted(right, slip))
    (task,) = [task for task in report.tasks if task.key == key]
    assert {case.recipes for case in task.cases if not case.passed} == {(name,)}


def test_the_example_of_the_readme():
    x, w, dy = (
        np.array(values, float).reshape(shape)
        for values, shape in (([1, 2, 3, 4, 5], (1, 1, 5, 1)), ([1, 0, -1], (1, 3, 1, 1)), ([1, 2, 3], (1, 1, 3, 1)))
    )
    geometry = {"stride": 2, "padding": (0, 0, 1, 1), "groups": 1}
    y = registry.find("conv2d", "naive").function(x, w, **geometry)
    dw = registry.find("conv2d_weight", "naive").function(x, dy, shape=w.shape, **geometry)
    dx = registry.find("conv2d_input", "naive").function(dy, w, shape=x.shape, **geometry)
    assert y.ravel().tolist() == [-2, -2, 4]
    assert dw.ravel().tolist() == [16, 22, 10]
    assert dx.ravel().tolist() == [0, 1, 0, 1, 0]
    assert (y * dy).sum() == (w * dw).sum() == (x * dx).sum() == 6


def test_the_texts_name_every_task():
    readme, hints, guide = (
        (LAB.folder / name).read_text(encoding="utf-8") for name in ("README.md", "hints.md", "guide.md")
    )
    for task in LAB.tasks:
        assert f"| {task.key} |" in readme
        assert f"## {task.key}\n" in hints
        assert task.key in guide
    assert f"{LAB.minutes} minutes" in readme
