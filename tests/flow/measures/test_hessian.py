"""Products and both ends of the spectrum against a whole Hessian, built by differences: nets small enough for it."""

from __future__ import annotations

import numpy as np
import pytest

import tinyres
from tinyres import models, nn, ops
from tinyres.errors import ConfigError, GradientError
from tinyres.flow.measures.hessian import curvature, hessian_product, lanczos


class Smooth(nn.Module):
    """[N, 3] -> [N, 4] through batch norm and tanh: 3*2 + 2 + 2 + 2*4 + 4 = 22 parameters, no kink anywhere."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.stem = nn.Parameter(rng.standard_normal((3, 2)).astype(np.float32))
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2, 4, rng=rng)

    def forward(self, x):
        return self.head(ops.tanh(self.norm(ops.matmul(x, self.stem))))


class Fused(Smooth):
    """The same with ReLU and a shortcut, by the fused kernels in training."""

    def forward(self, x):
        h = ops.matmul(x, self.stem)
        return self.head(self.norm(h, relu=True, shortcut=h))


@pytest.fixture
def batch(rng):
    return rng.standard_normal((7, 3)), rng.integers(0, 4, 7)


def loss_of(net, images, labels):
    return lambda: ops.softmax_cross_entropy(net(images), labels)


def whole(loss, parameters, step=1e-4):
    """The Hessian by differences of exact gradients, entry by entry."""
    columns = []
    for parameter in parameters:
        for place in np.ndindex(*parameter.shape):
            sides = []
            for sign in (1, -1):
                before = parameter.data[place]
                parameter.data[place] = before + sign * step
                sides.append(np.concatenate([g.numpy().ravel() for g in tinyres.grad(loss(), parameters)]))
                parameter.data[place] = before
            columns.append((sides[0] - sides[1]) / (2 * step))
    return np.array(columns)


@pytest.mark.parametrize("kind", [Smooth, Fused])
@pytest.mark.parametrize("method", ["second order", "differences"])
def test_products(kind, method, batch, rng):
    net = kind().astype(np.float64)
    loss = loss_of(net, *batch)
    expected = whole(loss, net.parameters())
    product = hessian_product(loss, net.parameters(), method=method)
    for _ in range(3):
        v = rng.standard_normal(len(expected))
        np.testing.assert_allclose(product(v), expected @ v, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("shortcut", ["B", "none"])
def test_a_convolutional_net(shortcut, rng):
    """Along a random direction: the derivative of the gradient, through pooling, shortcuts and batch norm."""
    net = models.CifarNet(8, shortcut=shortcut, in_channels=2, num_classes=3).astype(np.float64)
    loss = loss_of(net, rng.standard_normal((5, 8, 6, 2)), rng.integers(0, 3, 5))
    v = rng.standard_normal(sum(p.size for p in net.parameters()))
    found = hessian_product(loss, net.parameters())(v)
    expected = hessian_product(loss, net.parameters(), method="differences", step=1e-6)(v)
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("statistics", ["training", "running", "batch"])
def test_both_ends_of_an_indefinite_hessian(statistics, batch):
    net = Smooth().astype(np.float64)
    net.norm.running_var[:] = 0.5, 3.0
    found = curvature(net, *batch, statistics=statistics, iterations=22, tolerance=1e-9)
    if statistics == "batch":
        x = batch[0] @ net.stem.data
        net.norm.running_mean[:], net.norm.running_var[:] = x.mean(0), x.var(0)
    net.train(statistics == "training")
    values = np.linalg.eigvalsh(whole(loss_of(net, *batch), net.parameters()))
    assert values[0] < -1e-3
    assert values[-1] > 1e-3
    np.testing.assert_allclose([found.smallest, found.largest], values[[0, -1]], rtol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_sign_is_that_of_the_eigenvalue(sign, rng):
    """A spectrum whose largest magnitude is on the side of `sign`; the vectors are eigenvectors."""
    turn = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    values = sign * np.concatenate([[9.0, -4.0], np.linspace(-1, 1, 28)])
    matrix = turn * values @ turn.T
    found = lanczos(lambda v: matrix @ v, 30, iterations=30, tolerance=1e-8)
    assert found.magnitude == pytest.approx(9 * sign, rel=1e-6)
    assert found.largest == pytest.approx(9 if sign > 0 else 4, rel=1e-6)
    assert found.smallest == pytest.approx(-4 if sign > 0 else -9, rel=1e-6)
    for value, vector in zip((found.largest, found.smallest), found.vectors, strict=True):
        np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-4)
        assert np.linalg.norm(vector) == pytest.approx(1)


def test_errors_are_bounds(rng):
    """After any number of products a true eigenvalue lies within the stated error."""
    matrix = rng.standard_normal((40, 40))
    matrix += matrix.T
    values = np.linalg.eigvalsh(matrix)
    for iterations in (1, 2, 5, 12):
        found = lanczos(lambda v: matrix @ v, 40, iterations=iterations, tolerance=0)
        assert len(found.history) == iterations
        assert np.abs(values - found.largest).min() <= found.largest_error * (1 + 1e-9)
        assert np.abs(values - found.smallest).min() <= found.smallest_error * (1 + 1e-9)
        assert {len(column) for column in found.table().values()} == {iterations}


def test_a_matrix_of_few_eigenvalues_ends_early():
    diagonal = np.repeat([2.0, -3.0], [4, 9])
    found = lanczos(lambda v: diagonal * v, 13, iterations=13)
    assert len(found.history) == 2
    assert (found.largest, found.smallest) == (pytest.approx(2), pytest.approx(-3))


def test_float32_and_the_two_methods(batch):
    images, labels = batch
    images = images.astype(np.float32)
    exact = curvature(Smooth().astype(np.float64), *batch, tolerance=1e-6)
    for method, rtol in (("second order", 1e-4), ("differences", 2e-2)):
        found = curvature(Smooth(), images, labels, method=method, tolerance=1e-3)
        assert found.largest == pytest.approx(exact.largest, rel=rtol)
        assert found.smallest == pytest.approx(exact.smallest, rel=rtol)


@pytest.mark.parametrize("method", ["second order", "differences"])
def test_the_net_is_left_as_it_was(method, batch):
    net = Fused().astype(np.float64)
    net.norm.eval()
    before = {name: array.tobytes() for name, array in net.state_dict().items()}
    curvature(net, *batch, method=method, iterations=4)
    assert {name: array.tobytes() for name, array in net.state_dict().items()} == before
    assert (net.training, net.norm.training) == (True, False)
    assert all(p.grad is None for p in net.parameters())


def test_weights_are_put_back_when_the_loss_fails(batch):
    net = Smooth().astype(np.float64)
    before = net.stem.data.copy()

    def loss():
        raise KeyError("no loss today")

    product = hessian_product(loss, net.parameters(), method="differences")
    with pytest.raises(KeyError):
        product(np.ones(22))
    np.testing.assert_array_equal(net.stem.data, before)


def test_a_loss_linear_in_its_parameter_has_no_curvature():
    w = nn.Parameter(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(hessian_product(lambda: ops.sum(w * 2.0), [w])(np.ones(3)), np.zeros(3))


def test_mistakes(batch):
    net = Smooth().astype(np.float64)
    with pytest.raises(ConfigError, match="did you mean 'differences'"):
        curvature(net, *batch, method="difference")
    with pytest.raises(ConfigError, match="0 iterations"):
        curvature(net, *batch, iterations=0)
    with pytest.raises(GradientError, match="none of these parameters"):
        hessian_product(loss_of(net, *batch), Smooth().astype(np.float64).parameters())
    net.stem.data[...] = np.nan
    with pytest.raises(GradientError, match="not finite"):
        curvature(net, *batch)
