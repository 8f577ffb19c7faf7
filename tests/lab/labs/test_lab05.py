"""Lab 5: its reference against the engine and finite differences, its mistakes, and what the experiment shows."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from tinyres import Tensor, ops
from tinyres.lab import catalogue, start
from tinyres.lab.check import cases_of
from tinyres.lab.compare import wrong
from tinyres.lab.labs.lab05_residual import block, flow, projection, reference, variants

LAB = catalogue.lab("05-residual")
KEYS = [task.key for task in LAB.tasks]


@functools.cache
def drawn(key, seed=3):
    return cases_of(LAB.task(key), seed, hidden=True)


@functools.cache
def expected(key):
    """The public cases and what they shall yield."""
    return [(case, LAB.task(key).checks.reference(case)) for case in drawn(key) if not case.hidden]


def arrays_of(case, *names):
    return tuple(case.arrays[name] for name in names)


def same(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def differentiated(function, dy, *arrays):
    """Value and gradients by the engine."""
    inputs = [Tensor(array, requires_grad=True) for array in arrays]
    y = function(*inputs)
    y.backward(dy)
    return y.numpy(), [each.grad.numpy() for each in inputs]


def test_relu_is_the_engine_s():
    for case in drawn("relu.gradient"):
        dy, y = arrays_of(case, "dy", "y")
        value, (dx,) = differentiated(ops.relu, dy, y)
        same(reference.relu_gradient(case)["dx"], dx)
        same(reference.relu(case.but({"x": y}))["y"], value)
    for case in drawn("relu.add"):
        same(reference.add_relu(case)["y"], ops.add_relu(*arrays_of(case, "a", "b")).numpy())


def test_option_a_is_the_engine_s():
    for case in drawn("shortcut.pad_gradient"):
        stride, shape = case.params["stride"], case.params["shape"]
        x, channels = np.random.default_rng(0).standard_normal(shape), case.arrays["dy"].shape[3]
        value, (dx,) = differentiated(lambda x, c=channels, s=stride: ops.pad_shortcut(x, c, s), case.arrays["dy"], x)
        same(reference.pad_shortcut(case.but({"x": x}, channels=channels))["y"], value)
        same(reference.pad_shortcut_gradient(case)["dx"], dx)


def test_option_b_is_the_engine_s_convolution():
    for case in drawn("project.gradient"):
        dy, x, w = arrays_of(case, "dy", "x", "w")
        stride = case.params["stride"]
        value, (dx, dw) = differentiated(lambda x, w, s=stride: ops.conv2d(x, w, stride=s), dy, x, w[None, None])
        same(reference.project(case)["y"], value)
        found = reference.project_gradient(case)
        same(found["dx"], dx)
        same(found["dw"], dw[0, 0])


def rows(x):
    return ops.reshape(x, (-1, x.shape[-1]))


def product(x, w):
    return ops.reshape(ops.matmul(rows(x), w), (*x.shape[:-1], w.shape[1]))


def test_the_block_is_the_engine_s():
    for case in drawn("block.gradient"):
        dy, x, w1, w2 = arrays_of(case, "dy", "x", "w1", "w2")

        def run(x, w1, w2):
            return ops.relu(product(ops.relu(product(x, w1)), w2) + x)

        value, gradients = differentiated(run, dy, x, w1, w2)
        same(reference.block(case)["y"], value)
        made = reference.block_gradient(case.but(reference.block(case)))  # hidden and y were rounded
        for name, gradient in zip(("dx", "dw1", "dw2"), gradients, strict=True):
            same(made[name], gradient)


def test_the_variants_are_the_engine_s():
    for case in drawn("variant.preactivation"):
        dy, x, w1, w2 = arrays_of(case, "dy", "x", "w1", "w2")
        _, (dx, _, _) = differentiated(
            lambda x, w1, w2: x + product(ops.relu(product(ops.relu(x), w1)), w2), dy, x, w1, w2
        )
        same(reference.preactivation(case)["dx"], dx)
    for case in drawn("variant.scaled_gradient"):
        dy, y, shortcut, scale = arrays_of(case, "dy", "y", "shortcut", "scale")
        branch = np.where(y > 0, y, -1) - scale * shortcut
        _, gradients = differentiated(lambda b, h, s: ops.relu(b + s * h), dy, branch, shortcut, scale)
        for name, gradient in zip(("dbranch", "dshortcut", "dscale"), gradients, strict=True):
            same(reference.scaled_gradient(case)[name], gradient)
    for case in drawn("variant.average_gradient"):
        shape, s = case.params["shape"], case.params["stride"]
        x = np.random.default_rng(0).standard_normal(shape)
        means = x.reshape(shape[0], shape[1] // s, s, shape[2] // s, s, shape[3]).mean((2, 4))
        same((means * case.arrays["dy"][..., : shape[3]]).sum(), (reference.average_gradient(case)["dx"] * x).sum())
    for case in drawn("variant.channels_first"):
        y = reference.channels_first(case)["y"]
        same(
            y[:, : case.arrays["x"].shape[1]],
            case.arrays["x"][:, :, :: case.params["stride"], :: case.params["stride"]],
        )
        assert not y[:, case.arrays["x"].shape[1] :].any()


def test_the_layer_by_finite_differences():
    for case in drawn("flow.layer_gradient"):
        direction = np.random.default_rng(0).standard_normal(case.arrays["h"].shape)

        def loss(step, case=case, direction=direction):
            return (
                case.arrays["dy"] * reference.layer(case.but({"h": case.arrays["h"] + step * direction}))["y"]
            ).sum()

        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        np.testing.assert_allclose(
            (reference.layer_gradient(case)["dh"] * direction).sum(), slope, rtol=1e-5, atol=1e-6
        )


def test_norms_by_finite_differences():
    """The first norm is that of the whole stack's gradient by its input."""
    forward, backward = (
        getattr(importlib.import_module(f"{reference.__package__}.adapter"), n) for n in ("forward", "backward")
    )
    for case in drawn("flow.norms"):
        x, weights, dy = arrays_of(case, "x", "weights", "dy")

        def loss(x, weights=weights, dy=dy, shortcut=case.params["shortcut"]):
            for w in weights:
                x = forward(x, w) + shortcut * x
            return (dy * x).sum()

        gradient = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            step = np.zeros(x.shape)
            step[place] = 1e-5
            gradient[place] = (loss(x + step) - loss(x - step)) / 2e-5
        norms = reference.gradient_norms(case)["norms"]
        np.testing.assert_allclose(norms[0], np.linalg.norm(gradient), rtol=1e-6)
        same(flow.gradient_norms(x, weights, dy, forward, backward, shortcut=case.params["shortcut"]), norms)


OWN = {
    "project.forward": projection.project,
    "project.gradient": projection.project_gradient,
    "block.forward": block.block,
    "block.gradient": block.block_gradient,
    "variant.channels_first": variants.pad_channels_first,
    "variant.average_gradient": variants.average_shortcut_gradient,
    "variant.scaled_gradient": variants.scaled_shortcut_gradient,
    "variant.preactivation": variants.preactivation_gradient,
}


@pytest.mark.parametrize("key", OWN)
def test_the_lab_s_own_files_are_right(key):
    task = LAB.task(key)
    for case in drawn(key):
        right = task.checks.reference(case)
        outs = {name: np.full(np.shape(array), np.nan, case.dtype) for name, array in right.items()}
        inputs = [case.arrays[name].astype(case.dtype) for name in task.arrays]
        out = tuple(outs.values()) if len(outs) > 1 else next(iter(outs.values()))
        OWN[key](*inputs, **case.params, out=out)
        assert wrong(case, right, outs, task.checks.terms(case)) == ()


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """The student's folder with the solutions in it."""
    folder = tmp_path_factory.mktemp("lab05")
    for name, text in {**start.solutions(LAB), **start.given(LAB)}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_experiment_shows_what_the_readme_says(experiment, monkeypatch):
    """The four factors, on fewer and narrower layers."""
    monkeypatch.syspath_prepend(str(experiment))
    monkeypatch.setitem(sys.modules, "flow", flow)
    spec = importlib.util.spec_from_file_location("experiment", experiment / "experiment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def factor(name, scale):
        return module.growth(module.measured(*module.STACKS[name], scale, 20, 64, 0))

    for scale in (0.5, 1.0, 1.5):
        assert factor("plain, no batch norm", scale) == pytest.approx(scale**2, rel=0.1)
        assert factor("plain, batch norm", scale) == pytest.approx(np.pi / (np.pi - 1), rel=0.06)
        assert factor("residual, no batch norm", scale) == pytest.approx(1 + scale**2, rel=0.1)
        assert 1 < factor("residual, batch norm", scale) < 1.25


@pytest.mark.slow
def test_the_experiment_draws_its_figure(experiment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "experiment.py", "--save", "flow.png"],
        cwd=experiment,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split("q = ")[1][:4] for line in done.stdout.splitlines()] == ["1.01", "1.45", "2.00", "1.07"]
    assert (experiment / "flow.png").stat().st_size > 10_000
