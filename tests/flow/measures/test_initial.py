"""Gradients by depth: against hooks, and their growth against theory."""

from __future__ import annotations

import numpy as np
import pytest

from tests.flow.measures.nets import bytes_of
from tinyres import models
from tinyres.errors import ConfigError, GradientError
from tinyres.flow.measures.initial import gradient_by_depth, initial_gradients, scale_weights, without_batch_norm
from tinyres.models.dense import DenseNet
from tinyres.nn.flat import runs
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor


def test_norms_are_those_that_hooks_see(rng):
    net = models.create("resnet8", in_channels=1)
    x, labels = rng.standard_normal((6, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 6)
    before = bytes_of(net)
    found = gradient_by_depth(net, x, labels)
    assert bytes_of(net) == before
    assert found.names == ("conv1", "layer1.0", "layer2.0", "layer3.0")
    seen = []
    for name in ("layer1.0", "layer2.0", "layer3.0"):
        dict(net.named_modules())[name].register_forward_hook(
            lambda module, given, out: out.register_hook(lambda g: seen.append((np.linalg.norm(g.numpy()), g.size)))
        )
    softmax_cross_entropy(net(Tensor(x)), labels).backward()
    norms, sizes = zip(*seen[::-1], strict=True)
    np.testing.assert_allclose(found.norm[1:], norms, rtol=1e-5)
    np.testing.assert_allclose(found.rms[1:], norms / np.sqrt(sizes), rtol=1e-5)


@pytest.mark.slow
def test_growth_at_initialisation(rng):
    """Plain nets of He's scale keep the norm; with batch norm they explode towards the input, by pi / (pi - 1)."""
    x, labels = rng.standard_normal((128, 64)).astype(np.float32), rng.integers(0, 10, 128)
    growth = {
        name: np.mean([gradient_by_depth(DenseNet(40, width=192, seed=s, **kw), x, labels).growth for s in range(2)])
        for name, kw in {
            "he": {"shortcut": 0.0, "batch_norm": False},
            "plain": {"shortcut": 0.0},
            "residual": {},
        }.items()
    }
    assert 0.93 < growth["he"] < 1.06
    assert 1.35 < growth["plain"] < 1.55
    assert 1.0 < growth["residual"] < 1.15


def test_sweep(rng):
    x, labels = rng.standard_normal((32, 64)).astype(np.float32), rng.integers(0, 10, 32)
    found = initial_gradients(
        lambda residual, seed: DenseNet(12, shortcut=1.0 if residual else 0.0, seed=seed), x, labels,
        scales=(0.5, 1.5), seeds=(0, 1),
    )  # fmt: skip
    growth = dict(
        zip(zip(found.scale, found.batch_norm, found.shortcut, found.seed, strict=True), found.growth, strict=True)
    )
    assert len(growth) == 16
    for seed in (0, 1):
        assert growth[0.5, False, False, seed] < 0.35  # vanishes: 0.5^2 a layer
        assert growth[1.5, False, False, seed] > 1.7  # explodes: 1.5^2
        assert growth[1.5, False, True, seed] > growth[1.5, False, False, seed]  # and a shortcut makes that worse
        assert growth[0.5, True, False, seed] == pytest.approx(growth[1.5, True, False, seed], rel=0.02)
    table = found.table()
    assert {len(column) for column in table.values()} == {16 * 13}
    assert set(table["scale"]) == {0.5, 1.5}
    with pytest.raises(ConfigError, match="positive"):
        initial_gradients(lambda residual, seed: DenseNet(2), x, labels, scales=(0.0,))


def test_an_overflow_is_no_vanishing_gradient(rng):
    net = scale_weights(DenseNet(60, batch_norm=False), 8.0)
    found = gradient_by_depth(net, rng.standard_normal((8, 64)).astype(np.float32), rng.integers(0, 10, 8))
    assert np.isnan(found.norm).all()  # and not 0
    assert np.isnan(found.growth)


def test_without_batch_norm(rng):
    net = models.create("resnet8", in_channels=1, shortcut="B")
    names = {name for name, _ in without_batch_norm(net).named_parameters()}
    assert not any("bn" in name for name in names)
    x = rng.standard_normal((2, 8, 8, 1)).astype(np.float32)
    a, b = net(x).numpy(), net(2 * x).numpy()
    bias = net.fc.bias.numpy()
    np.testing.assert_allclose(b - bias, 2 * (a - bias), rtol=1e-4)  # linear along a ray, as ReLU nets are
    ((flat, part),) = runs(net.parameters())  # one buffer, with nothing else in it
    assert part == slice(0, flat.data.size)


def test_scaled_weights(rng):
    net, same = DenseNet(2, width=8, inputs=6), DenseNet(2, width=8, inputs=6)
    scale_weights(net, 3.0)
    for (name, scaled), (_, plain) in zip(net.named_parameters(), same.named_parameters(), strict=True):
        factor = 3.0 if scaled.ndim > 1 and name != "fc.weight" else 1.0
        np.testing.assert_array_equal(scaled.numpy(), plain.numpy() * np.float32(factor))


def test_a_net_that_recomputes_has_no_stream(rng):
    x, labels = rng.standard_normal((4, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 4)
    with pytest.raises(GradientError, match="use recompute=False"):
        gradient_by_depth(models.create("resnet8", in_channels=1, recompute=True), x, labels)


@pytest.mark.parametrize("scales", [(np.nan,), (1.0, np.inf), ()])
def test_scales_that_are_none(scales):
    with pytest.raises(ConfigError, match="positive factors"):
        initial_gradients(lambda residual, seed: DenseNet(2), np.zeros((2, 64)), np.zeros(2, int), scales=scales)
