"""Filter normalisation by its definition, the loss at each point by setting the weights there, and what is put back."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import models, nn, ops
from tinyres.errors import ConfigError, ShapeError
from tinyres.flow.measures.landscape import filter_normalised, landscape


class Odd(nn.Module):
    """[N, 5, 4, 2] -> [N, 3]: filters [3, 3, 2, 6], a matrix [6, 3], batch norm and a bias."""

    def __init__(self):
        rng = np.random.default_rng(5)
        self.conv = nn.Conv2d(2, 6, 3, padding=1, rng=rng)
        self.norm = nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 3, rng=rng)
        self.fc.bias.data[:] = 0.5, -1.0, 2.0

    def forward(self, x):
        return self.fc(ops.global_avg_pool(self.norm(self.conv(x), relu=True)))


@pytest.fixture
def net():
    return Odd().astype(np.float64)


@pytest.fixture
def batch(rng):
    return rng.standard_normal((7, 5, 4, 2)), rng.integers(0, 3, 7)


def test_every_filter_has_the_length_of_the_nets_own(net, rng):
    direction = filter_normalised(net.parameters(), rng)
    for parameter, d in zip(net.parameters(), direction, strict=True):
        assert d.shape == parameter.shape
        if parameter.ndim == 1:
            assert not d.any()
        else:
            for j in range(parameter.shape[-1]):
                assert np.linalg.norm(d[..., j]) == pytest.approx(np.linalg.norm(parameter.data[..., j]))


def test_vectors_as_one_filter_each(net, rng):
    direction = filter_normalised(net.parameters(), rng, biases=True)
    for parameter, d in zip(net.parameters(), direction, strict=True):
        if parameter.ndim == 1:
            assert np.linalg.norm(d) == pytest.approx(np.linalg.norm(parameter.data))


def test_directions_are_random(net):
    first, same, other = (filter_normalised(net.parameters(), np.random.default_rng(s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    cosine = (first * other).sum() / np.linalg.norm(first) / np.linalg.norm(other)
    assert abs(cosine) < 0.4


@pytest.mark.parametrize("statistics", ["training", "running"])
def test_points_of_a_grid(net, batch, statistics):
    images, labels = batch
    net.norm.running_var[:] = np.linspace(0.5, 2, 6)
    found = landscape(net, images, labels, dimensions=2, points=3, reach=0.4, statistics=statistics, seed=9)
    assert found.loss.shape == found.error.shape == (3, 3)
    rng = np.random.default_rng(9)
    d, e = (filter_normalised(net.parameters(), rng) for _ in range(2))
    table = found.table()
    assert list(table) == ["a", "b", "loss", "error"]
    for row in (1, 4, 6):
        moved = Odd().astype(np.float64)
        moved.load_state_dict(net.state_dict())
        for p, along, across in zip(moved.parameters(), d, e, strict=True):
            p.data += table["a"][row] * along + table["b"][row] * across
        logits = moved.train(statistics == "training")(images)
        assert table["loss"][row] == pytest.approx(ops.softmax_cross_entropy(logits, labels).item())
        assert table["error"][row] == np.mean(logits.numpy().argmax(1) != labels)
    assert (table["a"][1], table["b"][1]) == (-0.4, 0.0)


def test_the_centre_is_the_net(net, batch):
    found = landscape(net, *batch, points=5)
    assert found.axes[0][2] == 0
    assert found.loss[2] == pytest.approx(ops.softmax_cross_entropy(net(batch[0]), batch[1]).item())
    assert found.loss.shape == (5,)
    assert list(found.table()) == ["a", "loss", "error"]


def test_towards_another_net(net, batch):
    """A direction that is given is taken as it is: at 1 stands the other net."""
    other = models_apart(net)
    direction = [b.data - a.data for a, b in zip(net.parameters(), other.parameters(), strict=True)]
    found = landscape(net, *batch, points=3, directions=[direction])
    assert found.loss[2] == pytest.approx(ops.softmax_cross_entropy(other(batch[0]), batch[1]).item())


def models_apart(net):
    other = Odd().astype(np.float64)
    for parameter in other.parameters():
        parameter.data *= 1.3
        parameter.data += 0.1
    return other


def test_a_conv_net_in_float32(rng):
    images, labels = rng.standard_normal((5, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 5)
    found = landscape(models.create("plain20", in_channels=1), images, labels, points=3)
    assert np.isfinite(found.loss).all()


@pytest.mark.parametrize("fails", [False, True])
def test_the_net_is_left_as_it_was(net, batch, fails):
    net.norm.running_mean[:] = 3.0
    before = {name: array.tobytes() for name, array in net.state_dict().items()}
    arrays = [p.data for p in net.parameters()]
    seen = []

    def hook(module, inputs, output):
        seen.append(not np.array_equal(net.conv.weight.data.tobytes(), before["conv.weight"]))
        if fails and len(seen) == 2:
            raise KeyError("in the middle")

    remove = net.register_forward_hook(hook)
    if fails:
        with pytest.raises(KeyError):
            landscape(net, *batch, points=4)
    else:
        landscape(net, *batch, points=4)
    remove()
    assert any(seen)
    assert {name: array.tobytes() for name, array in net.state_dict().items()} == before
    assert all(p.data is array for p, array in zip(net.parameters(), arrays, strict=True))
    assert net.training


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"dimensions": 3}, ConfigError, "1 or 2 dimensions, not 3"),
        ({"reach": 0.0}, ConfigError, "reach is 0.0"),
        ({"points": 1}, ConfigError, "points 1"),
        ({"directions": []}, ShapeError, "0 directions for 1"),
        ({"directions": [[np.zeros(3)]]}, ShapeError, r"shape \[3\] where parameter 0 has \[3, 3, 2, 6\]"),
        ({"statistics": "none"}, ConfigError, "no 'none' statistics"),
    ],
)
def test_mistakes(net, batch, options, error, said):
    with pytest.raises(error, match=said):
        landscape(net, *batch, **options)


def test_an_answer_that_is_not_finite_is_wrong(net, batch):
    net.fc.bias.data[:] = np.nan
    assert (landscape(net, *batch, points=3).error == 1).all()
