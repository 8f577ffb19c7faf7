"""Pooling: ties, NaN, borders, and windows that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, grad, ops, use
from tinyres.errors import DtypeError, ShapeError

BACKENDS = ["naive", "numpy", "numba"]


def pooled(x, backend, *window):
    """Values and gradient for a cotangent of ones."""
    with use(all=backend):
        leaf = Tensor(np.asarray(x, float), True)
        y = ops.max_pool2d(leaf, *window)
        return y.numpy(), grad(y, leaf, np.ones(y.shape)).numpy()


@pytest.mark.parametrize("backend", BACKENDS)
def test_by_hand(backend):
    x = np.array([[1, 5, 2], [7, 3, 0], [4, 6, 8]], float)[None, :, :, None]
    y, g = pooled(x, backend, 2, 1)
    assert y[0, :, :, 0].tolist() == [[7, 5], [7, 8]]
    assert g[0, :, :, 0].tolist() == [[0, 1, 0], [2, 0, 0], [0, 0, 1]]  # two windows share the 7


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_equal_values_the_first_gets_the_gradient(backend):
    _, g = pooled(np.zeros((1, 4, 4, 1)), backend, 2)
    assert g[0, :, :, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    x = np.array([[0.0, -0.0], [0.0, -1.0]])[None, :, :, None]
    assert pooled(x, backend, 2)[1][0, :, :, 0].tolist() == [[1, 0], [0, 0]]
    _, g = pooled(np.full((1, 3, 3, 2), 5.0), backend, 3, 3, 1)
    assert g[0, :, :, 0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_nan_wins(backend, place):
    x = np.array([[1.0, np.inf], [3, 2]])[None, :, :, None]
    x[0, place[0], place[1], 0] = np.nan
    y, g = pooled(x, backend, 2)
    assert np.isnan(y).all()
    assert g[0, place[0], place[1], 0] == 1
    assert g.sum() == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [-np.inf, -1e300, -5.0])
def test_padding_never_wins(backend, value):
    y, g = pooled(np.full((1, 2, 3, 2), value), backend, 3, 2, 1)
    assert (y == value).all()
    assert g.sum() == y.size


@pytest.mark.parametrize("backend", BACKENDS)
def test_channels_and_images_stay_apart(backend, rng):
    x = rng.standard_normal((3, 5, 4, 2))
    y, g = pooled(x, backend, 3, 2, 1)
    for n in range(3):
        for c in range(2):
            alone = pooled(x[n : n + 1, :, :, c : c + 1], backend, 3, 2, 1)
            np.testing.assert_array_equal(y[n, :, :, c], alone[0][0, :, :, 0])
            np.testing.assert_array_equal(g[n, :, :, c], alone[1][0, :, :, 0])


def test_an_empty_batch():
    x = Tensor(np.ones((0, 4, 4, 2)), True)
    for y in (ops.max_pool2d(x, 2), ops.global_avg_pool(x)):
        assert y.shape[0] == 0
        assert grad(y.sum(), x).shape == x.shape


def test_the_stride_is_the_window_by_default():
    x = np.ones((1, 7, 6, 1))
    assert ops.max_pool2d(x, 3).shape == ops.max_pool2d(x, 3, 3).shape == (1, 2, 2, 1)


@pytest.mark.parametrize(
    ("shape", "window", "message"),
    [
        ((2, 4, 4), (2,), r"x has shape \[2, 4, 4\]; 4 dimensions \[N, H, W, C\] are wanted"),
        ((2, 2, 5, 1), (3,), r"a 3x3 window does not fit into x \[2, 2, 5, 1\] with padding \(0, 0, 0, 0\); pad more"),
        ((2, 4, 4, 1), (2, 1, 2), "kernel 2, padding 2; at most half the window may be padding"),
        ((2, 4, 4, 1), (0,), "kernel 0, padding 0"),
        ((2, 4, 4, 1), (2, 0), "stride 0, padding"),
        ((2, 4, 4, 1), (3, 1, -1), r"stride 1, padding \(-1, -1, -1, -1\)"),
        ((2, 4, 4, 1), ((2, 2),), r"kernel is \(2, 2\); one whole number is wanted"),
    ],
)
def test_windows_that_do_not_fit(shape, window, message):
    with pytest.raises(ShapeError, match=f"^max_pool2d: {message}"):
        ops.max_pool2d(np.ones(shape), *window)


def test_averages_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"^global_avg_pool: x has shape \[2, 3\]; 4 dimensions"):
        ops.global_avg_pool(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"^global_avg_pool: x \[2, 0, 3, 4\] has no pixels to average"):
        ops.global_avg_pool(np.ones((2, 0, 3, 4)))
    with pytest.raises(DtypeError, match=r"^global_avg_pool: x is uint8; floating arrays are wanted"):
        ops.global_avg_pool(np.ones((2, 3, 3, 4), np.uint8))


def test_the_average(rng):
    x = rng.standard_normal((2, 3, 5, 4))
    np.testing.assert_allclose(ops.global_avg_pool(x).numpy(), x.mean((1, 2)))
