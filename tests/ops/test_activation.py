"""Activations at their edges, and dropout."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, grad, nn, ops, use
from tinyres.errors import ConfigError, ShapeError
from tinyres.kernels import registry

BACKENDS = [name for name in registry.names("relu") if name in ("naive", "numpy", "numba")]
NUMBERS = np.array([-np.inf, -2.0, -0.0, 0.0, 1e-30, 3.0, np.inf, np.nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", BACKENDS)
def test_relu_at_its_edges(backend, dtype):
    x = NUMBERS.astype(dtype)
    expected = np.array([0, 0, 0, 0, 1e-30, 3, np.inf, np.nan], dtype)
    try:
        with use(relu=backend, add_relu=backend):
            np.testing.assert_array_equal(ops.relu(x).numpy(), expected)
            np.testing.assert_array_equal(ops.add_relu(x, np.zeros(8, dtype)).numpy(), expected)
    except registry.KernelError as error:
        pytest.skip(str(error))


def test_the_derivative_of_relu_at_zero_is_zero():
    x = Tensor(np.array([-1.0, -0.0, 0.0, 2.0]), requires_grad=True)
    for y in (ops.relu(x), ops.add_relu(x, np.zeros(4))):
        assert grad(y.sum(), x).numpy().tolist() == [0, 0, 0, 1]


def test_nan_goes_through_a_block(rng):
    """It must not be turned into a 0 on the way: a run that diverges has to be seen."""
    block = nn.BasicBlock(3, 3, stride=1, shortcut="A", rng=rng).eval()
    x = rng.standard_normal((1, 4, 4, 3)).astype(np.float32)
    x[0, 1, 2, 1] = np.nan
    assert np.isnan(block(x).numpy()[0, 1, 2]).any()


@pytest.mark.parametrize("op", [ops.tanh, ops.sigmoid, ops.softmax])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", ["naive", "numpy"])
def test_nothing_overflows(op, dtype, backend):
    x = np.array([[-1e4, -50, 0, 50, 1e4], [1e30, -1e30, 0, 0, 1e30]], dtype)
    with use(**{op.__name__: backend}):
        y = op(Tensor(x, True))
    assert np.isfinite(y.numpy()).all()
    expected = {
        "tanh": [[-1, -1, 0, 1, 1], [1, -1, 0, 0, 1]],
        "sigmoid": [[0, 0, 0.5, 1, 1], [1, 0, 0.5, 0.5, 1]],
        "softmax": [[0, 0, 0, 0, 1], [0.5, 0, 0, 0, 0.5]],
    }
    np.testing.assert_allclose(y.numpy(), expected[op.__name__], atol=1e-7)
    slope = grad(y, y.node.edges[0], np.ones_like(x), create_graph=True)
    assert np.isfinite(slope.numpy()).all()
    np.testing.assert_allclose(y.numpy().sum(), np.sum(expected[op.__name__]), atol=1e-6)


def test_sigmoid_keeps_its_digits_on_both_sides():
    x = np.array([-30.0, -5.0, 5.0])
    np.testing.assert_allclose(ops.sigmoid(x).numpy(), 1 / (1 + np.exp(-x)), atol=1e-16, rtol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_softmax_sums_to_one(axis, rng):
    y = ops.softmax(rng.standard_normal((3, 4)), axis).numpy()
    np.testing.assert_allclose(y.sum(axis), 1)
    shifted = ops.softmax(np.log(y) + 123.0, axis).numpy()
    np.testing.assert_allclose(shifted, y)
    with pytest.raises(ShapeError, match="softmax: axis 2 does not fit an array of 2 dimensions"):
        ops.softmax(np.ones((2, 2)), 2)


# ---- dropout -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expectation(p):
    ones = np.ones((200, 300), np.float32)
    y = ops.dropout(ones, p, seed=1).numpy()
    assert set(np.unique(y)) <= {np.float32(0), np.float32(1 / (1 - p))}
    deviation = np.sqrt(p * (1 - p) / y.size)
    assert abs((y == 0).mean() - p) < 4 * deviation
    assert abs((y == 0)[:, ::2].mean() - p) < 6 * deviation  # and in any part
    assert abs(y.mean() - 1) < 4 * deviation / (1 - p)


def test_dropout_is_a_function_of_seed_step_and_place(rng):
    x = np.ones((40, 50))

    def mask(array=x, **where):
        return ops.dropout(array, 0.5, **where).numpy() > 0

    assert (mask(seed=3, step=7) == mask(seed=3, step=7)).all()
    different = [mask(seed=3, step=7), mask(seed=4, step=7), mask(seed=3, step=8), mask(seed=2**40 + 3, step=7)]
    different.append(mask(seed=-1))
    for i, one in enumerate(different):
        for other in different[:i]:
            assert abs((one == other).mean() - 0.5) < 0.05
    assert (mask(np.ones(2000), seed=3, step=7) == different[0].ravel()).all()
    assert (mask(np.ones((40, 50), np.float32).T.copy().T, seed=3, step=7) == different[0]).all()


def test_dropout_goes_back_through_its_own_mask(rng):
    x = Tensor(rng.uniform(1, 2, (5, 6)), True)
    y = ops.dropout(x, 0.3, seed=5)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.numpy() / x.data)


def test_dropout_in_evaluation_and_with_p_0_does_nothing():
    x = Tensor(np.ones(3), True)
    assert ops.dropout(x, 0.5, training=False) is x
    assert ops.dropout(x, 0.0) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, np.nan])
def test_dropout_of_impossible_probability(p):
    with pytest.raises(ConfigError, match=f"dropout: p is {p}; a probability from 0 up to, not including, 1 is wanted"):
        ops.dropout(np.ones(3), p)
