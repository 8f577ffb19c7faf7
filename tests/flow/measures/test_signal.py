"""Activations: growth of the stream, strength of responses, ReLUs that are on together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.flow.measures.nets import Odd, Plain, bytes_of
from tinyres import models, nn, ops, use
from tinyres.errors import ConfigError, GradientError, ShapeError
from tinyres.flow.measures.coactivation import coactivation
from tinyres.flow.measures.response import responses
from tinyres.flow.measures.signal import signal_propagation
from tinyres.models.dense import DenseNet
from tinyres.tensor import Tensor


@pytest.fixture
def images(rng):
    return rng.standard_normal((16, 8, 8, 1)).astype(np.float32)


def test_moments_of_a_block(rng, images):
    """Block by block against the formulas, on arrays that hooks caught."""
    net = models.create("resnet8", in_channels=1)
    before = bytes_of(net)
    found = signal_propagation(net, images)
    assert bytes_of(net) == before
    caught = {}
    for name in ("layer1.0", "layer2.0", "layer3.0"):
        block = dict(net.named_modules())[name]
        block.register_forward_hook(lambda module, given, out, name=name: caught.update({name: (given[0], out)}))
        block.bn2.register_forward_hook(
            lambda module, given, out, name=name: caught.update({name + " branch": ops.batch_norm(
                given[0], module.weight, module.bias, None, None, training=True)})
        )  # fmt: skip
    net(Tensor(images))
    assert found.names == ("conv1", "layer1.0", "layer2.0", "layer3.0")
    assert found.depth.tolist() == [1, 3, 5, 7]
    assert np.isnan(found.branch[0])
    for row, name in enumerate(found.names[1:], 1):
        out = caught[name][1].numpy().astype(np.float64)
        channels = out.reshape(-1, out.shape[-1])
        expected = (out**2).mean(), out.var(), (channels.mean(0) ** 2).mean(), channels.var(0).mean()
        np.testing.assert_allclose(found.stream[row], expected, rtol=1e-5)
        branch = caught[name + " branch"].numpy().astype(np.float64)
        assert found.branch[row] == pytest.approx(branch.reshape(-1, branch.shape[-1]).var(0).mean(), rel=1e-5)
    assert found.ratio[1] == pytest.approx(
        caught["layer1.0 branch"].numpy().std() / caught["layer1.0"][0].numpy().std()
    )
    assert found.table()["branch / shortcut"][1] == found.ratio[1]


def test_growth_of_the_stream(rng):
    """2^l without normalisation, l + 1 with batch norm in the branch: De and Smith 2020."""
    x = rng.standard_normal((256, 64)).astype(np.float32)
    bare = signal_propagation(DenseNet(40, width=256, batch_norm=False), x).stream[:, 1]
    slope = np.polyfit(np.arange(41), np.log2(bare), 1)[0]
    assert 0.95 < slope < 1.05
    normed = signal_propagation(DenseNet(40, width=256), x)
    steps = np.diff(normed.stream[:, 1])
    assert 0.9 < steps.mean() < 1.1  # each branch adds 1 to the variance
    assert normed.ratio[-1] == pytest.approx(normed.ratio[1:].min(), rel=0.1)


def test_responses_after_the_norm(rng, images):
    net = models.create("resnet8", in_channels=1, shortcut="B")
    for name, parameter in net.named_parameters():
        if ".bn" in name and name.endswith("weight"):
            parameter.data[...] = 2.0 if "bn1" in name else 0.5
    before = bytes_of(net)
    found = responses(net, images, statistics="training")
    assert bytes_of(net) == before
    assert found.names == ("conv1", *(f"layer{s}.0.conv{c}" for s in (1, 2, 3) for c in (1, 2)))
    np.testing.assert_allclose(found.std, [1, 2, 0.5, 2, 0.5, 2, 0.5], rtol=1e-2)  # what batch norm makes of it
    assert found.block == ("", *(f"layer{s}.0" for s in (1, 2, 3) for _ in (1, 2)))
    np.testing.assert_allclose(found.sorted, [2, 2, 2, 1, 0.5, 0.5, 0.5], rtol=1e-2)
    with use(all="numpy"):
        np.testing.assert_allclose(responses(net, images, statistics="training").std, found.std, rtol=1e-4)


def test_responses_of_the_weights(rng):
    net = DenseNet(3, width=8, inputs=6)
    x = rng.standard_normal((50, 6)).astype(np.float32)
    seen = []
    for _, unit in net.units.children():
        unit.branch.register_forward_hook(lambda module, given, out: seen.append(out.numpy().std()))
    found = responses(net, x, after="weights", statistics="training")
    net(Tensor(x))
    np.testing.assert_allclose(found.std[1:], seen[-3:], rtol=1e-5)
    assert found.names[0] == "stem"
    assert "fc" not in found.names
    with pytest.raises(ConfigError, match="did you mean 'norm'"):
        responses(net, x, after="norms")


def test_responses_with_a_bias_of_its_own(rng, images):
    net = nn.Sequential(nn.Conv2d(1, 3, 3, bias=True, rng=rng), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3, rng=rng))
    found = responses(net, images, statistics="training")
    assert found.names == ("0",)
    assert found.std[0] == pytest.approx(1, rel=1e-2)
    with pytest.raises(GradientError, match="no layer with weights but its last"):
        responses(nn.Sequential(nn.Linear(4, 3)), rng.standard_normal((3, 4)).astype(np.float32))


def test_coactivation_counts_pairs(rng):
    net = Plain(rng)
    x = rng.standard_normal((9, 4)).astype(np.float32)
    found = coactivation(net, x)
    on = net.layers[0](Tensor(x)).numpy() > 0
    pairs = [(on[i] & on[j]).mean() for i, j in itertools.combinations(range(9), 2)]
    assert found.together[0] == pytest.approx(np.mean(pairs))
    assert found.active[0] == pytest.approx(on.mean())
    assert found.names == ("layers.0", "layers.2")
    net.layers[0].bias.data[:2] = [-100, 100]
    found = coactivation(net, x)
    assert found.dead[0] >= 1 / 5
    assert found.constant[0] >= 2 / 5
    assert found.dead_channels[0] == found.dead[0]


def test_random_nets(rng):
    """One quarter with batch norm, at every depth; without it units become constant. Balduzzi et al. 2017."""
    x = rng.standard_normal((200, 64)).astype(np.float32)
    normed = coactivation(DenseNet(24, shortcut=0.0), x)
    assert normed.together == pytest.approx(0.25, abs=0.03)
    assert normed.active == pytest.approx(0.5, abs=0.05)
    bare = coactivation(DenseNet(24, shortcut=0.0, batch_norm=False), x)
    assert bare.constant[-1] > 0.4 > 0.1 > normed.constant.max()


def test_coactivation_of_images(rng, images):
    net = models.create("resnet8", in_channels=1)
    found = coactivation(net, images)
    assert len(found.names) == 7
    assert found.depth.tolist() == [1, 2, 3, 4, 5, 6, 7]
    net.layer1[0].bn1.bias.data[3] = -50  # one channel of sixteen
    assert coactivation(net, images).dead_channels[1] == pytest.approx(1 / 16)
    with pytest.raises(ShapeError, match="pairs"):
        coactivation(net, images[:1])

    class Smooth(nn.Module):
        def forward(self, x):
            return ops.tanh(x)

    with pytest.raises(GradientError, match="no ReLU"):
        coactivation(Smooth(), images)


def test_odd_net(rng):
    x = rng.standard_normal((6, 4)).astype(np.float32)
    assert len(signal_propagation(Odd(rng), x).names) >= 4
    assert "stem" in responses(Odd(rng), x).names
    assert coactivation(Odd(rng), x).depth.tolist() == [1, 2, 4]


@pytest.mark.parametrize("measure", [responses, signal_propagation, coactivation])
def test_a_net_that_recomputes_hides_what_is_measured(measure, images):
    with pytest.raises(GradientError, match="recomputes its blocks and so hides them; use recompute=False"):
        measure(models.create("resnet8", in_channels=1, recompute=True), images)


def test_coactivation_of_a_broken_net(rng):
    """A ReLU that gets NaN is neither on nor dead, even if it passes 0 on."""
    net = models.create("resnet8", in_channels=1)
    net.layer2[0].conv1.weight.data[0, 0, 0, 0] = np.nan
    with pytest.raises(GradientError, match=r"the ReLU after layer2\.0\.conv1 is not finite"):
        coactivation(net, rng.standard_normal((4, 8, 8, 1)).astype(np.float32))


class PreActivation(nn.Module):
    """h + W relu(BN(W relu(BN h))), the batch norms beside the weights."""

    def __init__(self, rng):
        self.bn1, self.bn2 = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.fc1, self.fc2 = (nn.Linear(6, 6, rng=rng) for _ in range(2))

    def forward(self, h):
        return ops.add(h, self.fc2(self.bn2(self.fc1(self.bn1(h, relu=True)), relu=True)))


def test_responses_of_nets_that_normalise_first(rng):
    """The batch norm that comes next is the next layer's: plain, residual or pre-activated, all after the weights."""
    x = rng.standard_normal((50, 6)).astype(np.float32)
    nets = [DenseNet(4, width=6, inputs=6, shortcut=s, branch=b) for s in (0.0, 1.0) for b in (1, 2)]
    nets.append(nn.Sequential(nn.Linear(6, 6, rng=rng), PreActivation(rng), PreActivation(rng), nn.Linear(6, 3)))
    for net in nets:
        found, weights = (responses(net, x, after=after, statistics="training") for after in ("norm", "weights"))
        assert found.after == "weights"
        np.testing.assert_array_equal(found.std, weights.std)


def test_responses_of_nets_that_normalise_afterwards(images):
    for name, shortcut in (("resnet8", "C"), ("plain8", "default")):
        assert responses(models.create(name, in_channels=1, shortcut=shortcut), images).after == "norm"
