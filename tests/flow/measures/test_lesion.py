"""What a net answers without a block is what the rest of it answers; and nothing is left of the operation."""

from __future__ import annotations

import numpy as np
import pytest

from tests.flow.measures.nets import Branch, Chosen, Odd, Plain, bytes_of
from tinyres import models, nn, ops
from tinyres.errors import ConfigError, ShapeError
from tinyres.flow.measures import lesion
from tinyres.flow.measures.lesion import delete_each, delete_random, kendall, score, shuffle, truncate
from tinyres.flow.measures.trace import trace
from tinyres.flow.measures.units import find_units
from tinyres.models.dense import DenseNet


def lively(net, rng):
    """Running averages and affine parameters that are not those of a fresh net."""
    for name, array in (*((n, p.data) for n, p in net.named_parameters()), *net.named_buffers()):
        if "running_var" in name:
            array[...] = rng.uniform(0.5, 2, array.shape)
        elif array.ndim == 1:
            array[...] += 0.3 * rng.standard_normal(array.shape)
    return net


def skipping(net, x, removed):
    """Forward through a CifarNet in evaluation mode, written out without the blocks of these numbers."""
    h = net.bn1(net.conv1(x), relu=True)
    number = 0
    for stage in (net.layer1, net.layer2, net.layer3):
        for _, block in stage.children():
            if number not in removed:
                h = block(h)
            elif "downsample" in vars(block):
                h = ops.relu(block.downsample(h))
            number += 1
    return net.fc(ops.global_avg_pool(h)).numpy()


@pytest.fixture
def images(rng):
    return rng.standard_normal((30, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 30)


def error(logits, labels):
    return (logits.argmax(1) != labels).mean()


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_each_block_is_really_missing(rng, images, shortcut):
    net = lively(models.create("resnet14", in_channels=1, shortcut=shortcut), rng)
    x, labels = images
    before = bytes_of(net)
    found = delete_each(net, x, labels)
    assert bytes_of(net) == before
    net.eval()
    expected = [error(skipping(net, x, {number}), labels) for number in range(6)]
    np.testing.assert_allclose(found.error, expected)
    assert found.whole_error == error(skipping(net, x, set()), labels)
    assert found.blocks == tuple(f"layer{s}.{b}" for s in (1, 2, 3) for b in (0, 1))
    assert found.changes_shape == (False, False, True, False, True, False)
    np.testing.assert_allclose(found.change, found.error - found.whole_error)


def test_truncation_keeps_the_first(rng, images):
    net = lively(models.create("resnet14", in_channels=1), rng)
    x, labels = images
    found = truncate(net, x, labels)
    net.eval()
    for kept, seen in zip(found.amount, found.error, strict=True):
        assert seen == error(skipping(net, x, set(range(kept, 6))), labels)
    assert found.order[2] == (0, 1)
    assert truncate(net, x, labels, keep=[6]).error == found.whole_error
    with pytest.raises(ConfigError, match="0 to 6"):
        truncate(net, x, labels, keep=[7])


def test_random_deletions(rng, images):
    net = lively(models.create("resnet14", in_channels=1), rng)
    x, labels = images
    found = delete_random(net, x, labels, counts=(0, 1, 3, 10), repeats=2, seed=3)
    assert found.amount.tolist() == [0, 0, 1, 1, 3, 3]  # there are no 10 blocks
    assert found.error[0] == found.whole_error
    net.eval()
    for kept, seen in zip(found.order, found.error, strict=True):
        assert seen == error(skipping(net, x, set(range(6)) - set(kept)), labels)
    again = delete_random(net, x, labels, counts=(0, 1, 3, 10), repeats=2, seed=3)
    assert again.order == found.order
    with pytest.raises(ConfigError, match="nothing is left"):
        delete_random(net, x, labels, counts=(10,))


def test_shuffled_blocks_stand_where_the_order_says(rng, images):
    net = lively(models.create("resnet20", in_channels=1), rng)
    x, labels = images
    before = bytes_of(net)
    found = shuffle(net, x, labels, exchanges=(2,), repeats=3)
    assert bytes_of(net) == before
    net.eval()
    for order, seen in zip(found.order, found.error, strict=True):
        assert sorted(order[:3]) == [0, 1, 2]  # exchanges stay within a stage
        assert (order[3], order[6]) == (3, 6)  # and those that halve the image stay where they are
        blocks = [block for stage in (net.layer1, net.layer2, net.layer3) for _, block in stage.children()]
        h = net.bn1(net.conv1(x), relu=True)
        for number in order:
            h = blocks[number](h)
        assert seen == error(net.fc(ops.global_avg_pool(h)).numpy(), labels)
    assert found.table()["tau"] == [kendall(order) for order in found.order]


def test_exchanges_below_zero(rng, images):
    with pytest.raises(ConfigError, match="-1 exchanges cannot be made"):
        shuffle(models.create("resnet14", in_channels=1), *images, exchanges=(2, -1))


def test_kendall():
    assert kendall([0, 1, 2, 3]) == 1
    assert kendall([3, 2, 1, 0]) == -1
    assert kendall([0, 2, 1]) == pytest.approx(1 / 3)
    assert kendall([0]) == 1


@pytest.mark.parametrize("settings", [{}, {"scale": "skipinit"}, {"shortcut": 0.5, "branch": 2}, {"batch_norm": False}])
def test_dense_residual_nets(rng, settings):
    net = lively(DenseNet(4, width=8, inputs=6, **settings), rng)
    x, labels = rng.standard_normal((40, 6)).astype(np.float32), rng.integers(0, 10, 40)
    found = delete_each(net, x, labels)
    net.eval()
    for number in range(4):
        h = ops.matmul(x, net.stem)
        for other, (_, unit) in enumerate(net.units.children()):
            h = unit(h) if other != number else ops.mul(h, settings.get("shortcut", 1.0))
        logits = net.fc(net.bn(h, relu=True) if "bn" in vars(net) else ops.relu(h)).numpy()
        assert found.error[number] == error(logits, labels)


def test_plain_nets_get_the_identity(rng, images):
    net = lively(models.create("plain20", in_channels=1), rng)
    x, labels = images
    before = bytes_of(net)
    found = delete_each(net, x, labels)
    assert bytes_of(net) == before
    assert "forward" not in vars(net.layer2[0])
    net.eval()
    blocks = [block for stage in (net.layer1, net.layer2, net.layer3) for _, block in stage.children()]
    for removed in (1, 3):
        h = net.bn1(net.conv1(x), relu=True)
        for number, block in enumerate(blocks):
            if number != removed:
                h = block(h)
            elif number == 3:
                h = ops.pad_shortcut(h, 32, 2)
        assert found.error[removed] == error(net.fc(ops.global_avg_pool(h)).numpy(), labels)
    dense = DenseNet(3, width=8, inputs=6, shortcut=0.0)
    data = rng.standard_normal((10, 6)).astype(np.float32), rng.integers(0, 10, 10)
    assert delete_each(dense, *data).blocks == ("units.0", "units.1", "units.2")


def test_restored_after_an_error(rng, images, monkeypatch):
    net = lively(models.create("resnet14", in_channels=1), rng)
    net.layer1.training = False
    before = bytes_of(net)
    calls = []

    def fails(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(lesion, "score", fails)
    for operate in (delete_each, shuffle, truncate):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            operate(net, *images)
        assert bytes_of(net) == before
    plain = models.create("plain20", in_channels=1)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        delete_each(plain, *images)
    assert all("forward" not in vars(module) for _, module in plain.named_modules())


def test_score(rng):
    class Fixed(nn.Module):
        def forward(self, x):
            return x

    logits = rng.standard_normal((7, 4))
    labels = rng.integers(0, 4, 7)
    loss, wrong = score(Fixed(), logits, labels)
    assert wrong == error(logits, labels)
    assert loss == pytest.approx(ops.softmax_cross_entropy(logits, labels).item())
    labels = logits.argmax(1)
    assert score(Fixed(), logits, labels)[1] == 0
    logits[2, labels[2]] = np.nan
    assert score(Fixed(), logits, labels)[1] == 1 / 7
    assert np.isnan(score(Fixed(), logits, labels)[0])


def test_what_cannot_be_taken_out(rng):
    x, labels = rng.standard_normal((4, 4)).astype(np.float32), rng.integers(0, 5, 4)
    with pytest.raises(ConfigError, match="shares its weights"):
        delete_each(Odd(rng), x, labels)
    with pytest.raises(ShapeError, match="0 examples"):
        delete_each(Plain(rng), x[:0], labels[:0])
    with pytest.raises(ConfigError, match="could do without one"):
        delete_each(nn.Sequential(nn.Linear(4, 5)), x, labels)

    class Lifted(nn.Module):
        def __init__(self):
            self.branch = Branch(rng)

        def forward(self, h):
            return h + ops.sigmoid(self.branch(h))

    with pytest.raises(ConfigError, match="ends in sigmoid"):
        delete_each(Lifted(), rng.standard_normal((4, 5)).astype(np.float32), labels)


def test_units_of_a_stack(rng):
    net = Plain(rng).eval()
    units = find_units(trace(net, rng.standard_normal((4, 4)).astype(np.float32), None))
    assert [unit.name for unit in units] == ["layers.2"]  # the only one whose output has the shape of its input
    blocks = find_units(trace(Chosen(3, rng).eval(), rng.standard_normal((4, 5)).astype(np.float32), None))
    assert [unit.name for unit in blocks] == ["blocks.0", "blocks.1", "blocks.2"]


def test_shuffled_blocks_take_their_projections_along(rng, images):
    net = lively(models.create("resnet20", in_channels=1, shortcut="C"), rng)
    x, labels = images
    found = shuffle(net, x, labels, exchanges=(3,), repeats=2)
    net.eval()
    blocks = [block for stage in (net.layer1, net.layer2, net.layer3) for _, block in stage.children()]
    for order, loss in zip(found.order, found.loss, strict=True):
        h = net.bn1(net.conv1(x), relu=True)
        for number in order:
            h = blocks[number](h)
        logits = net.fc(ops.global_avg_pool(h))
        assert loss == pytest.approx(ops.softmax_cross_entropy(logits, labels).item(), rel=1e-5)
