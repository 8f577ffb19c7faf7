"""Jacobians against differences of the net itself, and the randomised values against the exact ones."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import models, nn, ops
from tinyres.errors import ConfigError, GradientError, ShapeError
from tinyres.flow.measures.jacobian import jacobian, spectrum
from tinyres.flow.measures.state import statistics_of, unchanged
from tinyres.models.dense import DenseNet


class Small(nn.Module):
    """[N, 5] -> [N, 3], with batch norm and a shortcut; smooth, so that differences are exact."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.stem = nn.Linear(5, 4, rng=rng)
        self.norm = nn.BatchNorm2d(4)
        self.inner = nn.Linear(4, 4, rng=rng)
        self.head = nn.Linear(4, 3, rng=rng)
        self.norm.running_mean[:] = [0.3, -0.2, 0.1, 0.5]
        self.norm.running_var[:] = [0.7, 1.2, 2.0, 0.4]

    def forward(self, x):
        h = self.stem(x)
        return self.head(h + self.inner(ops.tanh(self.norm(h))))


@pytest.fixture
def small():
    return Small().astype(np.float64)


@pytest.fixture
def images(rng):
    return rng.standard_normal((6, 5))


def differences(f, x, step=1e-5):
    columns = []
    for k in range(x.size):
        moved = np.zeros(x.size)
        moved[k] = step
        moved = moved.reshape(x.shape)
        columns.append((f(x + moved) - f(x - moved)).ravel() / (2 * step))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_against_differences(small, images, statistics):
    found = jacobian(small, images, statistics=statistics)
    assert found.shape == (6, 3, 5)
    assert found.dtype == np.float64
    with statistics_of(small, statistics, images):
        for row, image in zip(found, images, strict=True):
            expected = differences(lambda x: small(x[None]).numpy()[0], image)
            np.testing.assert_allclose(row, expected, rtol=1e-7, atol=1e-9)


def test_the_two_statistics_differ(small, images):
    assert not np.allclose(jacobian(small, images), jacobian(small, images, statistics="running"), rtol=1e-2)


def test_statistics_of_another_batch(small, images):
    alone = jacobian(small, images[:2], batch=images)
    np.testing.assert_allclose(alone, jacobian(small, images)[:2], rtol=1e-12)


def test_parts_multiply_to_the_whole(small, images):
    """The chain rule: (d output / d stem) (d stem / d input) = d output / d input."""
    late, early = jacobian(small, images, start="stem"), jacobian(small, images, end="stem")
    assert late.shape == (6, 3, 4)
    assert early.shape == (6, 4, 5)
    np.testing.assert_allclose(late @ early, jacobian(small, images), rtol=1e-12, atol=1e-14)


def test_more_rows_than_copies(images, monkeypatch):
    net = Small().astype(np.float64)
    whole = jacobian(net, images)
    monkeypatch.setattr("tinyres.flow.measures.jacobian.COPIES", 12)  # two copies an image for three rows
    np.testing.assert_allclose(jacobian(net, images), whole, rtol=1e-12)


@pytest.fixture(scope="module")
def conv_net():
    net = models.create("resnet20", in_channels=1, seed=1)
    net.astype(np.float64)
    return net


def test_stage_of_a_conv_net_against_differences(conv_net, rng):
    images = rng.standard_normal((3, 8, 8, 1))
    part = jacobian(conv_net, images, start="layer3", end="fc", statistics="batch")
    assert part.shape == (3, 10, 4 * 64)
    pooled = np.repeat(conv_net.fc.weight.data.T[None] / 4, 4, axis=1).reshape(1, 10, 4, 64)  # mean over 2x2 pixels
    np.testing.assert_allclose(part.reshape(3, 10, 4, 64), np.broadcast_to(pooled, (3, 10, 4, 64)), rtol=1e-12)


def test_randomised_finds_the_largest_values(conv_net, rng):
    images = rng.standard_normal((2, 8, 8, 1))
    exact = spectrum(conv_net, images, start="layer2", end="layer3")
    drawn = spectrum(conv_net, images, start="layer2", end="layer3", largest=5, power=3)
    assert exact.shape == drawn.shape == (256, 512)
    assert drawn.values.shape == (2, 5)
    np.testing.assert_allclose(drawn.values, exact.values[:, :5], rtol=2e-2)
    assert (drawn.values <= exact.values[:, :5] * (1 + 1e-9)).all()
    np.testing.assert_allclose(drawn.frobenius, exact.frobenius, rtol=0.3)


def test_all_values_by_the_randomised_way(small, images):
    exact = spectrum(small, images)
    np.testing.assert_allclose(spectrum(small, images, largest=3).values, exact.values, rtol=1e-9)


def test_ranks(small, images):
    found = spectrum(small, images)
    direct = np.linalg.svd(jacobian(small, images), compute_uv=False)
    np.testing.assert_allclose(found.values, direct, rtol=1e-12)
    share = float(found.values[0, 1] / found.values[0, 0]) * 0.999
    assert found.above(share)[0] == 2
    assert found.share_above(share)[0] == 2 / 3
    np.testing.assert_allclose(found.stable_rank(), (direct**2).sum(1) / direct[:, 0] ** 2, rtol=1e-12)
    table = found.table()
    assert {len(column) for column in table.values()} == {18}
    assert table["image"][3] == 1
    assert table["relative"][3] == 1


def test_float32(images):
    net = Small()
    found = jacobian(net, images.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, jacobian(net.astype(np.float64), images), rtol=2e-4, atol=2e-5)


def test_the_net_is_left_as_it_was(images):
    net = Small().astype(np.float64)
    net.inner.eval()
    before = net.state_dict()
    arrays = [p.data for p in net.parameters()]
    spectrum(net, images, largest=2)
    assert all(p.data is array for p, array in zip(net.parameters(), arrays, strict=True))
    assert {name: array.tobytes() for name, array in net.state_dict().items()} == {
        name: array.tobytes() for name, array in before.items()
    }
    assert net.training
    assert net.norm.momentum == 0.1
    assert not net.inner.training


def test_put_back_after_an_error(images):
    net = Small().astype(np.float64)
    before = net.state_dict()

    def spoil():
        with unchanged(net):
            for parameter in net.parameters():
                parameter.data[...] = np.nan
            net.norm.running_mean = np.zeros(4)
            net.eval()
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        spoil()
    assert all(np.array_equal(net.state_dict()[name], array) for name, array in before.items())
    assert net.training


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"start": "sten"}, ConfigError, "did you mean 'stem'"),
        ({"start": "head", "end": "stem"}, ConfigError, "stem does not depend on head"),
        ({"statistics": "training"}, ConfigError, "no Jacobian; use 'batch'"),
        ({"statistics": "bach"}, ConfigError, "did you mean 'batch'"),
        ({"largest": 4}, ConfigError, "from 1 to 3"),
        ({"images": np.zeros((0, 5))}, ShapeError, r"\[0, 5\] hold no image"),
    ],
)
def test_mistakes(small, images, options, error, said):
    with pytest.raises(error, match=said):
        spectrum(small, **{"images": images} | options)


def test_the_norm_of_what_was_not_found(rng):
    """Beyond the subspace only the rest is estimated: no stable rank below 1, and near the exact one."""
    net = DenseNet(54, shortcut=0.0).astype(np.float64)
    images = rng.standard_normal((4, 64))
    part = {"start": "units.0", "end": "units.53"}
    exact, drawn = spectrum(net, images, **part), spectrum(net, images, **part, largest=3)
    np.testing.assert_allclose(drawn.frobenius, exact.frobenius, rtol=1e-3)
    assert (drawn.stable_rank() >= 1).all()


@pytest.mark.parametrize("largest", [None, 2])
def test_a_jacobian_that_is_not_finite(small, images, largest):
    small.inner.weight.data[0, 0] = np.nan
    with pytest.raises(GradientError, match="from input to output is not finite"):
        spectrum(small, images, largest=largest, statistics="running")


def test_a_jacobian_of_zeros(small, images):
    small.head.weight.data[:] = 0
    for largest in (None, 2):
        found = spectrum(small, images, largest=largest)
        assert not found.values.any()
        assert np.isnan(found.stable_rank()).all()
        assert np.isnan(found.table()["relative"]).all()
        assert (found.above() == 0).all()


def test_an_unknown_module_names_those_that_have_a_name(small, images):
    with pytest.raises(ConfigError, match="no module 'bogus'; known: head, inner, norm, stem"):
        spectrum(small, images, start="bogus")
