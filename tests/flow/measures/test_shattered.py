"""Autocorrelation of signals whose own is known, and gradients of nets for which they can be written down."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import models, nn, ops
from tinyres.errors import ConfigError, GradientError, ShapeError
from tinyres.flow.measures.shattered import autocorrelation, input_gradients, neighbours, shattering
from tinyres.models.dense import DenseNet


def test_white_noise(rng):
    """The mean is -1/N at every lag but 0: taking the mean away leaves that much."""
    found = np.mean([autocorrelation(rng.standard_normal(101), 6) for _ in range(600)], axis=0)
    np.testing.assert_allclose(found, [1] + [-1 / 101 * (1 - k / 101) for k in range(1, 6)], atol=0.012)


def test_brown_noise_is_near_one_and_falls(rng):
    found = np.mean([autocorrelation(rng.standard_normal(257).cumsum(), 12) for _ in range(100)], axis=0)
    assert found[1] > 0.93
    assert (np.diff(found) < 0).all()


def test_a_wave():
    """acf(k) = cos(2 pi k / period), but for the share k / N of the products that is missing."""
    signal = np.sin(2 * np.pi * np.arange(400) / 20) + 7
    found = autocorrelation(signal, 21)
    np.testing.assert_allclose(found, np.cos(2 * np.pi * np.arange(21) / 20) * (1 - np.arange(21) / 400), atol=1e-2)


def test_components_count_together(rng):
    """Two components, one of which is ten times as strong: numpy's own correlation, weighted by power."""
    signal = rng.standard_normal((60, 2)).cumsum(axis=0) * [1, 10]
    centred = signal - signal.mean(axis=0)
    expected = sum(np.correlate(c, c, "full")[59:64] for c in centred.T) / (centred**2).sum()
    np.testing.assert_allclose(autocorrelation(signal, 5), expected, rtol=1e-12)


class Parabola(nn.Module):
    """x -> (sum of x_c^2, sum of x_c^3): gradients 2 x and 3 x^2."""

    def __init__(self):
        self.unused = nn.Parameter(np.zeros(1))

    def forward(self, x):
        axes = tuple(range(1, x.ndim))
        square, cube = (ops.reshape(ops.sum(x**p, axes), (len(x), 1)) for p in (2, 3))
        return ops.concat([square, cube], 1)


def test_gradients(rng):
    x = rng.standard_normal((4, 3))
    np.testing.assert_allclose(input_gradients(Parabola(), x), 2 * x)
    each = input_gradients(Parabola(), x, outputs=np.array([0, 1, 1, 0]))
    np.testing.assert_allclose(each, np.where([[True], [False], [False], [True]], 2 * x, 3 * x**2))


def test_along_a_direction(rng):
    x = np.cumsum(rng.standard_normal((30, 3)), axis=0)
    found = shattering(Parabola(), x, along=[0, 2, 0], lags=7)
    np.testing.assert_allclose(found.gradients[:, 0], 4 * x[:, 1])
    np.testing.assert_allclose(found.acf, autocorrelation(x[:, 1], 7), rtol=1e-12)
    assert {len(column) for column in found.table().values()} == {7}
    assert found.white[1] == pytest.approx(-1 / 30, abs=0.02)
    assert found.acf[0] == found.white[0] == found.brown[0] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_depth_shatters_plain_nets_with_batch_norm(dtype):
    """At 24 layers nothing of the correlation is left; a residual net keeps more than half."""
    settings = {"width": 120, "inputs": 1, "num_classes": 1}
    plain = np.mean([shattering(_net(24, s, dtype, shortcut=0.0, **settings)).acf[1] for s in range(3)])
    residual = np.mean([shattering(_net(24, s, dtype, **settings)).acf[1] for s in range(3)])
    assert abs(plain) < 0.15
    assert residual > 0.5


def _net(units, seed, dtype, **settings):
    return DenseNet(units, seed=seed, **settings).astype(dtype)


def test_neighbours_of_a_net_that_is_known(rng):
    """The gradient of x^2 is 2 x: the cosine is that between a and a + t (b - a)."""
    images = rng.standard_normal((5, 3, 2, 1))
    found = neighbours(Parabola(), images, np.zeros(5, int), steps=4)
    rows = images.reshape(5, -1)
    distance = np.linalg.norm(rows[:, None] - rows, axis=2) + np.diag([np.inf] * 5)
    np.testing.assert_array_equal(found.neighbour, distance.argmin(1))
    np.testing.assert_allclose(found.distance, distance.min(1))
    for a, b, cosines in zip(rows, rows[found.neighbour], found.cosine, strict=True):
        for t, cosine in zip(found.fraction, cosines, strict=True):
            c = a + t * (b - a)
            assert cosine == pytest.approx(a @ c / np.linalg.norm(a) / np.linalg.norm(c))
    table = found.table()
    assert table["median"][0] == pytest.approx(1)
    assert {len(column) for column in table.values()} == {4}


def test_neighbours_of_a_conv_net(rng):
    net = models.create("resnet20", in_channels=1)
    before = {name: array.tobytes() for name, array in net.state_dict().items()}
    found = neighbours(net, rng.standard_normal((6, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 6), steps=3)
    np.testing.assert_allclose(found.cosine[:, 0], 1, rtol=1e-6)
    assert (np.abs(found.cosine) <= 1 + 1e-6).all()
    assert (found.cosine[:, 2] < 1).all()
    assert {name: array.tobytes() for name, array in net.state_dict().items()} == before


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: autocorrelation(np.ones(9), 3), GradientError, "same at every input"),
        (lambda: autocorrelation([1.0, np.nan, 2.0, np.inf], 2), GradientError, "at input 1 is not finite"),
        (lambda: autocorrelation(np.arange(4.0), 4), ShapeError, "4 lags of 4 values"),
        (lambda: shattering(Parabola(), np.ones((20, 2)), along=[1, 2, 3]), ShapeError, "3 values and an input 2"),
        (lambda: input_gradients(Parabola(), np.ones((2, 2)), outputs=2), ShapeError, "output 2"),
        (lambda: neighbours(Parabola(), np.ones((1, 2)), np.zeros(1, int)), ShapeError, "two images or more"),
        (lambda: neighbours(Parabola(), np.ones((3, 2)), np.zeros(3, int), steps=1), ConfigError, "at least 2"),
        (lambda: neighbours(Parabola(), np.zeros((3, 2)), np.zeros(3, int)), GradientError, "are zero"),
        (lambda: neighbours(Parabola(), np.full((3, 2), np.nan), np.zeros(3, int)), GradientError, "are not finite"),
    ],
)
def test_mistakes(call, error, said):
    with pytest.raises(error, match=said):
        call()
