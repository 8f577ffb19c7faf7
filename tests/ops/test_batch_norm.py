"""Batch norm: against float64 far from 0, its running averages, and its fusions against their composition."""

from __future__ import annotations

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, gradcheck, ops
from tinyres.errors import DtypeError, GradientError, ShapeError
from tinyres.kernels import registry


def available(op):
    names = []
    for row in registry.table():
        if row["op"] == op and row["missing"] is None and row["device"] == "cpu":
            names.append(row["kernel"])
    return names


def run(op, arrays, *, dtype, cotangent, training=True, **settings):
    """Value, gradients and running averages of a batch norm with optional ReLU and shortcut."""
    leaves = [Tensor(a.astype(dtype), requires_grad=True) for a in arrays]
    channels = arrays[0].shape[-1]
    running = np.full(channels, 0.5, dtype), np.full(channels, 2.0, dtype)
    y = op(*leaves, *running, training=training, **settings)
    y.backward(cotangent.astype(dtype))
    return [y.numpy(), *(x.grad.numpy() for x in leaves), *running]


FAST = [name for name in available("batch_norm") if name != "naive"]


@pytest.mark.parametrize("kernel", FAST)
def test_far_from_zero(kernel, rng):
    """Mean 1000, deviation 1: mean(x^2) - mean(x)^2 would leave two digits in float32."""
    x = (1000 + rng.standard_normal((16, 6, 5, 4))).astype(np.float32).astype(np.float64)
    arrays = [x, rng.uniform(0.5, 2, 4), rng.standard_normal(4)]
    dy = rng.standard_normal(x.shape)
    exact = run(ops.batch_norm, arrays, dtype=np.float64, cotangent=dy)
    with tinyres.use(batch_norm=kernel):
        rough = run(ops.batch_norm, arrays, dtype=np.float32, cotangent=dy)
    for got, expected in zip(rough, exact, strict=True):  # y, dx, dgamma, dbeta, running mean and variance
        assert np.abs(got - expected).max() <= 2e-4 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_output_has_mean_0_and_variance_1(offset, rng):
    x = offset + rng.standard_normal((8, 7, 5, 3)) * [1, 10, 0.1]
    y = ops.batch_norm(x, np.ones(3), np.zeros(3), None, None, training=True, eps=0.0).numpy()
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-9)


def test_a_constant_channel_is_beta(rng):
    x = rng.standard_normal((2, 3, 3, 2)).astype(np.float32)
    x[..., 1] = 7
    y = ops.batch_norm(x, np.ones(2, np.float32), np.full(2, 0.25, np.float32), None, None, training=True)
    assert (y.numpy()[..., 1] == 0.25).all()


@pytest.mark.parametrize("kernel", FAST)
def test_large_batches_in_float32(kernel, rng):
    """131,072 values a channel: with all sums in float32 mean and variance would be off by 3e-7."""
    x = (5 + rng.standard_normal((128, 32, 32, 4))).astype(np.float32)
    running, ones = (np.zeros(4, np.float32), np.zeros(4, np.float32)), np.ones(4, np.float32)
    with tinyres.use(batch_norm=kernel):
        ops.batch_norm(x, ones, ones, *running, training=True, momentum=1.0)
    exact = x.astype(np.float64).reshape(-1, 4)
    np.testing.assert_allclose(running[0], exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(running[1], exact.var(0, ddof=1), rtol=1e-7)


@pytest.mark.parametrize("kernel", FAST)
@pytest.mark.parametrize("op", ["batch_norm", "bn_relu", "bn_add_relu"])
def test_batches_of_many_blocks(op, kernel, rng):
    """Larger than what one pass takes at a time, with a rest: values and gradients are the oracle's."""
    shape = 37, 16, 16, 17
    arrays = [rng.standard_normal(shape) + 0.5, rng.standard_normal(17), rng.standard_normal(17)]
    arrays += [rng.standard_normal(shape)] * (op == "bn_add_relu")
    cotangent = rng.standard_normal(shape)
    results = []
    for name in (kernel, "naive"):
        with tinyres.use(**{op: name, f"{op}_gradient": name}):
            results.append(run(getattr(ops, op), arrays, dtype=np.float64, cotangent=cotangent))
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-11)


def test_running_averages(rng):
    """(1 - momentum) old + momentum new, the variance unbiased, in place, in training only."""
    x, mean, variance = rng.standard_normal((2, 3, 1, 4)), rng.standard_normal(4), rng.uniform(1, 2, 4)
    running = mean.copy(), variance.copy()
    arguments = x, np.ones(4), np.zeros(4), *running
    ops.batch_norm(*arguments, training=False)
    np.testing.assert_array_equal(running, (mean, variance))
    ops.batch_norm(*arguments, training=True, momentum=0.3)
    flat = x.reshape(-1, 4)
    np.testing.assert_allclose(running[0], 0.7 * mean + 0.3 * flat.mean(0))
    np.testing.assert_allclose(running[1], 0.7 * variance + 0.3 * flat.var(0, ddof=1))
    with tinyres.no_grad():
        before = running[0].copy()
        ops.batch_norm(*arguments, training=True)
    assert (running[0] != before).all()


def test_evaluation_uses_the_averages_of_its_moment(rng):
    """A training step between forward and backward updates the arrays in place; the gradient is still the first's."""
    x = Tensor(rng.standard_normal((4, 3)), requires_grad=True)
    gamma, beta = Tensor(rng.standard_normal(3), True), Tensor(np.zeros(3), True)
    running = np.zeros(3), np.ones(3)
    y = ops.batch_norm(x, gamma, beta, *running, training=False, eps=0.0)
    ops.batch_norm(5 + 3 * x.data, gamma, beta, *running, training=True)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.tile(gamma.data, (4, 1)))
    np.testing.assert_allclose(gamma.grad.numpy(), x.data.sum(0))


def test_frozen_vectors_cost_nothing_in_evaluation(launched, rng):
    x, gamma, beta = Tensor(rng.standard_normal((4, 3)), True), np.ones(3), np.zeros(3)
    y = ops.batch_norm(x, gamma, beta, np.zeros(3), np.ones(3), training=False).sum()
    start = len(launched)
    y.backward()
    assert "sum" not in [op for op, _ in launched[start:]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones((1, 3)), 3, 3), ShapeError, r"x \[1, 3\] has 1 values a channel, and a variance wants two; train"),
        ((np.ones((0, 2, 2, 3)), 3, 3), ShapeError, r"x \[0, 2, 2, 3\] has 0 values a channel"),
        ((np.ones(3), 3, 3), ShapeError, r"x \[3\] has 1 values a channel"),
        ((np.ones((2, 3)), 4, 3), ShapeError, r"gamma has shape \[4\]; \[3\] is wanted, one value for each channel"),
        ((np.ones((2, 3)), 3, 2), ShapeError, r"beta has shape \[2\]; \[3\] is wanted"),
        ((np.ones((2, 3), np.float32), 3, 3), DtypeError, "x is float32 and gamma is float64; convert one"),
        ((np.ones((2, 3), int), 3, 3), DtypeError, "x is int64; floating arrays are wanted"),
    ],
)
def test_bad_calls(arguments, error, message):
    x, gamma, beta = arguments
    with pytest.raises(error, match=f"^batch_norm: {message}"):
        ops.batch_norm(x, np.ones(gamma), np.ones(beta), None, None, training=True)


def test_evaluation_without_averages():
    with pytest.raises(GradientError, match="evaluation needs running averages; pass them, or training=True"):
        ops.batch_norm(np.ones((2, 3)), np.ones(3), np.ones(3), None, None, training=False)
    one = np.ones(3)
    y = ops.batch_norm(np.full((1, 3), 2.0), one, one, one, one, training=False, eps=0)
    assert y.numpy().tolist() == [[2.0] * 3]  # a batch of one is fine in evaluation


def test_one_average_without_the_other():
    with pytest.raises(GradientError, match="batch_norm: one running average came without the other; pass both, or"):
        ops.batch_norm(np.ones((2, 3)), np.ones(3), np.ones(3), np.zeros(3), None, training=True)


# ---- fusions -------------------------------------------------------------------------------------------------------
FUSED = [(op, kernel) for op in ("bn_relu", "bn_add_relu") for kernel in available(op)]


def composition(x, gamma, beta, *rest, **settings):
    shortcut, running = rest[:-2], rest[-2:]
    y = ops.batch_norm(x, gamma, beta, *running, **settings)
    return ops.add_relu(y, *shortcut) if shortcut else ops.relu(y)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("dtype", "allowed"), [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize(("op", "kernel"), [*FUSED, ("bn_relu", "composed"), ("bn_add_relu", "composed")])
def test_a_fusion_equals_its_composition(op, kernel, dtype, allowed, training, rng):
    shape = 3, 5, 4, 6
    arrays = [2 * rng.standard_normal(shape) + 1, rng.standard_normal(6), rng.standard_normal(6)]
    arrays += [rng.standard_normal(shape)] * (op == "bn_add_relu")
    settings = {"dtype": dtype, "cotangent": rng.standard_normal(shape), "training": training, "momentum": 0.2}
    with tinyres.use(**{op: kernel}):
        fused = run(getattr(ops, op), arrays, eps=1e-3, **settings)
    apart = run(composition, arrays, eps=1e-3, **settings)
    for got, expected in zip(fused, apart, strict=True):
        np.testing.assert_allclose(got, expected, atol=allowed * np.abs(expected).max(), rtol=allowed)


@pytest.mark.parametrize("op", ["bn_relu", "bn_add_relu"])
def test_a_fusion_is_one_kernel_unless_its_parts_are_chosen(op, launched, rng):
    arrays = [rng.standard_normal((3, 4)), np.ones(4), np.zeros(4)] + [np.ones((3, 4))] * (op == "bn_add_relu")
    last = "relu" if op == "bn_relu" else "add_relu"

    def ops_of(**choice):
        start = len(launched)
        with tinyres.use(**choice):
            run(getattr(ops, op), arrays, dtype=np.float64, cotangent=np.ones((3, 4)))
        return {name for name, _ in launched[start:]} & {op, f"{op}_gradient", "batch_norm", last, "relu_gradient"}

    assert ops_of() == {op, f"{op}_gradient"}
    assert ops_of(**{op: "composed"}) == {"batch_norm", last, "relu_gradient"}
    for part in ("batch_norm", last, "batch_norm_gradient", "relu_gradient"):  # a chosen kernel always runs
        assert ops_of(**{part: "naive"}) == {"batch_norm", last, "relu_gradient"}
    assert ops_of(**{op: "naive", "batch_norm": "naive"}) == {op, f"{op}_gradient"}


@pytest.mark.parametrize("op", ["bn_relu", "bn_add_relu"])
def test_a_fusion_refuses_a_second_derivative(op, rng):
    function, before_relu = getattr(ops, op), np.zeros(1)
    while np.abs(before_relu).min() < 0.05:  # keep away from the kink
        arrays = [rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(3)]
        before_relu = ops.batch_norm(*arrays, None, None, training=True).numpy()
        if op == "bn_add_relu":
            arrays.append(rng.standard_normal((5, 3)))
            before_relu = before_relu + arrays[3]

    def f(*inputs):
        return function(*inputs, None, None, training=True)

    assert gradcheck(f, arrays, order=1) < 1e-6
    with pytest.raises(GradientError, match=rf'{op} has no second derivative; .*`with tinyres.use\({op}="composed"\)'):
        gradcheck(f, arrays, order=2)
    with tinyres.use(**{op: "composed"}):  # the remedy that the message names
        assert gradcheck(f, arrays, order=2) < 1e-6


def test_a_fusion_wants_a_shortcut_of_its_shape():
    x = np.ones((2, 3))
    with pytest.raises(ShapeError, match=r"bn_add_relu: shortcut has shape \[2, 4\] and x \[2, 3\]; they must be the"):
        ops.bn_add_relu(x, np.ones(3), np.ones(3), np.ones((2, 4)), None, None, training=True)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_second_derivatives_through_one_gradient_only(wanted, rng):
    """Of dx, dgamma and dbeta just one is used; the cotangents of the other two are then missing, not 0."""
    arrays = [rng.standard_normal((5, 3)), rng.standard_normal(3), rng.standard_normal(3)]
    cotangent = rng.standard_normal((5, 3))

    def f(*inputs):
        y = ops.batch_norm(*inputs, None, None, training=True)
        return tinyres.grad(y * y, inputs[wanted], cotangent, create_graph=True)

    assert gradcheck(f, arrays, order=2) < 1e-6
