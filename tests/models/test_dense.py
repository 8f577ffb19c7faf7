"""The small dense nets: their formula, their parameters, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import no_grad
from tinyres.errors import ConfigError
from tinyres.models.dense import DenseNet


def by_hand(net: DenseNet, x, *, shortcut, scale, batch_norm):
    """The formula in NumPy, in evaluation mode, where running averages of 0 and 1 leave only eps."""
    norm = 1 / np.sqrt(1 + 1e-5) if batch_norm else 1.0
    h = x @ net.stem.numpy()
    for unit in (module for _, module in net.units.children()):
        change = h
        for layer in (module for _, module in unit.branch.children()):
            change = np.maximum(change * norm, 0) @ layer.weight.numpy()
        h = shortcut * h + scale * change
    return np.maximum(h * norm, 0) @ net.fc.weight.numpy() + net.fc.bias.numpy()


@pytest.mark.parametrize(
    ("shortcut", "scale", "batch_norm", "branch"),
    [(1.0, 1.0, True, 1), (0.0, 1.0, True, 2), (0.9, 0.5, False, 1), (1.0, 0.25, False, 3), (0.0, 1.0, False, 1)],
)
def test_the_formula(shortcut, scale, batch_norm, branch, rng):
    given = {"shortcut": shortcut, "scale": scale, "batch_norm": batch_norm}
    net = DenseNet(3, width=5, inputs=4, num_classes=3, branch=branch, seed=1, **given).astype(np.float64).eval()
    x = rng.standard_normal((6, 4))
    with no_grad():
        np.testing.assert_allclose(net(x).numpy(), by_hand(net, x, **given), atol=1e-12)


def test_plain_and_residual_have_the_same_parameters():
    plain, residual = DenseNet(4, shortcut=0.0, seed=3), DenseNet(4, shortcut=1.0, seed=3)
    assert {n: p.shape for n, p in plain.named_parameters()} == {n: p.shape for n, p in residual.named_parameters()}
    assert all(np.array_equal(a.data, b.data) for a, b in zip(plain.parameters(), residual.parameters(), strict=True))
    assert sum(p.size for p in plain.parameters()) == 64 * 64 + 4 * (64 * 64 + 128) + 128 + 64 * 10 + 10


def test_gain_multiplies_the_weights_of_the_units_alone():
    one, half = DenseNet(2, seed=5), DenseNet(2, seed=5, gain=0.5)
    assert np.array_equal(one.stem.data, half.stem.data)
    assert np.array_equal(one.fc.weight.data, half.fc.weight.data)
    layer = [net.units[1].branch[0].weight.numpy() for net in (one, half)]
    np.testing.assert_allclose(layer[1], layer[0] / 2, rtol=1e-6)
    np.testing.assert_allclose(layer[0].std(), np.sqrt(2 / 64), rtol=0.05)


def test_skipinit_starts_as_the_identity_and_learns_its_factors(rng):
    net = DenseNet(3, scale="skipinit", batch_norm=False)
    x = rng.standard_normal((5, 64)).astype(np.float32)
    np.testing.assert_allclose(net.units(x).numpy(), x, atol=1e-6)
    assert np.abs(net(x).numpy()).max() > 0
    net(x).sum().backward()
    assert all(abs(float(unit.alpha.grad.numpy()[0])) > 0 for _, unit in net.units.children())


def test_every_parameter_receives_a_gradient(rng):
    for settings in ({"shortcut": 0.0}, {"shortcut": 0.5, "scale": 0.5, "branch": 2}, {"batch_norm": False}):
        net = DenseNet(2, **settings)
        (net(rng.standard_normal((8, 64)).astype(np.float32)) * rng.standard_normal((8, 10)).astype(np.float32)) \
            .sum().backward()  # fmt: skip
        assert all(p.grad is not None and np.abs(p.grad.numpy()).max() > 0 for p in net.parameters()), settings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"units": 0}, "units is 0"),
        ({"units": 2, "branch": 0}, "branch is 0"),
        ({"units": 2, "scale": "skip"}, "'skip'"),
        ({"units": 2, "shortcut": float("nan")}, "shortcut is nan"),
        ({"units": 2, "gain": 0.0}, "gain is 0.0"),
        ({"units": 2, "gain": -1.0}, "gain is -1.0"),
    ],
)
def test_refusals(settings, said):
    with pytest.raises(ConfigError, match=said):
        DenseNet(**settings)
