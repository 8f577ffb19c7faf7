"""Layers, blocks and their initial weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinyres import Tensor, gradcheck, nn, no_grad, ops
from tinyres.errors import ConfigError, DtypeError, ShapeError
from tinyres.nn.init import he_normal


def images(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("layer", "inputs", "outputs", "parameters"),
    [
        (nn.Conv2d(3, 4, 3), (2, 7, 6, 3), (2, 5, 4, 4), 108),
        (nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=True), (2, 7, 6, 3), (2, 4, 3, 4), 112),
        (nn.Conv2d(4, 6, 2, groups=2, padding=(1, 0, 0, 2)), (1, 5, 4, 4), (1, 5, 5, 6), 48),
        (nn.BatchNorm2d(3), (2, 4, 4, 3), (2, 4, 4, 3), 6),
        (nn.Linear(5, 2), (3, 5), (3, 2), 12),
        (nn.ReLU(), (3, 5), (3, 5), 0),
        (nn.MaxPool2d(3, stride=2, padding=1), (2, 7, 6, 3), (2, 4, 3, 3), 0),
        (nn.MaxPool2d(2), (2, 7, 6, 3), (2, 3, 3, 3), 0),
        (nn.GlobalAvgPool(), (2, 7, 6, 3), (2, 3), 0),
        (nn.Flatten(), (2, 7, 6, 3), (2, 126), 0),
        (nn.Dropout(0.5), (2, 7), (2, 7), 0),
        (nn.Sequential(), (2, 7), (2, 7), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_shapes_and_parameters(layer, inputs, outputs, parameters, rng):
    x = images(rng, *inputs)
    y = layer(x)
    assert y.shape == outputs
    assert sum(p.size for p in layer.parameters()) == parameters
    assert all(p.dtype == np.float32 and p.requires_grad for p in layer.parameters())


def test_layers_compute_their_ops(rng):
    x = images(rng, 2, 5, 4, 3)
    conv = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=True, rng=5)
    conv.bias.data[...] = [1, 2, 3, 4]
    expected = ops.conv2d(x, conv.weight, stride=2, padding=1).numpy() + np.array([1, 2, 3, 4], np.float32)
    np.testing.assert_array_equal(conv(x).numpy(), expected)
    linear = nn.Linear(4, 3, rng=6)
    linear.bias.data[...] = 1
    row = x[0, 0, :, :1].T
    np.testing.assert_allclose(linear(row).numpy(), row @ linear.weight.data + 1, atol=1e-6)


def test_batch_norm_updates_its_averages_in_training_only(rng):
    layer, x = nn.BatchNorm2d(3, momentum=0.25, eps=1e-3), images(rng, 4, 3, 2, 3)
    layer(x)
    flat = x.reshape(-1, 3)
    np.testing.assert_allclose(layer.running_mean, 0.25 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, 0.75 + 0.25 * flat.var(0, ddof=1), rtol=1e-5)
    before = layer.state_dict()
    y = layer.eval()(x)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    expected = (x - layer.running_mean) / np.sqrt(layer.running_var + 1e-3)
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("shortcut", [True, False])
def test_batch_norm_with_relu_and_shortcut(training, relu, shortcut, rng):
    x, other = images(rng, 4, 3, 2, 3), images(rng, 4, 3, 2, 3) if shortcut else None
    whole, apart = nn.BatchNorm2d(3).train(training), nn.BatchNorm2d(3).train(training)
    y = whole(x, relu=relu, shortcut=other)
    expected = apart(x).numpy() + (0 if other is None else other)
    np.testing.assert_allclose(y.numpy(), np.maximum(expected, 0) if relu else expected, atol=1e-6)
    for one, two in zip(whole.state_dict().values(), apart.state_dict().values(), strict=True):
        np.testing.assert_allclose(one, two)


def test_batch_norm_of_one_value_a_channel():
    layer = nn.BatchNorm2d(3)
    with pytest.raises(ShapeError, match="1 values a channel, and a variance wants two; train with a larger batch"):
        layer(np.ones((1, 1, 1, 3), np.float32))
    assert layer.eval()(np.ones((1, 1, 1, 3), np.float32)).shape == (1, 1, 1, 3)


def test_dropout_draws_a_new_mask_each_time_and_remembers_where_it_is(rng):
    x = np.ones((20, 30), np.float32)
    layer = nn.Dropout(0.5, seed=4)
    first, state, second = layer(x).numpy(), layer.state_dict(), layer(x).numpy()
    assert (first != second).any()
    assert state["step"] == 1
    layer.eval()
    assert (layer(x).numpy() == 1).all()
    assert layer.state_dict()["step"] == 2  # evaluation draws nothing
    again = nn.Dropout(0.5, seed=4)
    np.testing.assert_array_equal(again(x).numpy(), first)
    other = nn.Dropout(0.5, seed=4)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other(x).numpy(), second)
    assert (nn.Dropout(0.5, seed=5)(x).numpy() != first).any()
    assert other.astype(np.float64).step.dtype == np.int64


def test_sequential():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert len(net) == 3
    assert net[0] is getattr(net, "0")
    assert net[-1].weight.shape == (4, 2)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(IndexError):
        net[3]


@pytest.mark.parametrize(("item", "name"), [(ops.relu, "relu"), (3, "int"), (nn.ReLU, "ReLU"), (None, "NoneType")])
def test_sequential_takes_modules_only(item, name):
    """A function would not be found among the attributes and be left out without a word."""
    with pytest.raises(ConfigError, match=f"Sequential: item 1 is {name}, which is not a Module; nn.ReLU"):
        nn.Sequential(nn.Flatten(), item)


def test_images_as_they_come_from_a_file_are_refused():
    with pytest.raises(DtypeError, match="conv2d: x is uint8; floating arrays are wanted"):
        nn.Conv2d(3, 4, 3)(np.zeros((1, 8, 8, 3), np.uint8))


# ---- initial weights -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3, 3, 16, 32), (1, 1, 64, 128), (5, 3, 8, 64), (64, 100), (3, 3, 3, 16)])
def test_he_normal(shape):
    w = he_normal(np.random.default_rng(0), shape)
    fan_in = math.prod(shape[:-1])
    assert w.dtype == np.float32
    assert w.shape == shape
    spread = math.sqrt(2 / fan_in)
    assert abs(w.std() / spread - 1) < 4 / math.sqrt(2 * w.size)
    assert abs(w.mean()) < 4 * spread / math.sqrt(w.size)
    tail = np.mean(np.abs(w) > 2 * spread)  # normal: 4.55 %; uniform or truncated: none
    assert abs(tail - 0.0455) < 4 * math.sqrt(0.0455 / w.size)


def test_weights_follow_their_seed():
    same, again, other = (nn.Conv2d(3, 4, 3, rng=seed).weight.data for seed in (1, 1, 2))
    np.testing.assert_array_equal(same, again)
    assert (same != other).any()
    rng = np.random.default_rng(1)
    first, second = nn.Conv2d(3, 4, 3, rng=rng), nn.Conv2d(3, 4, 3, rng=rng)
    np.testing.assert_array_equal(first.weight.data, same)
    assert (second.weight.data != same).any()


# ---- blocks --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("channels", "stride", "shortcut", "extra"),
    [
        ((4, 4), 1, "A", 0),
        ((4, 8), 2, "A", 0),
        ((4, 4), 1, "B", 0),
        ((4, 8), 2, "B", 4 * 8 + 16),
        ((4, 4), 2, "B", 4 * 4 + 8),
        ((4, 8), 1, "B", 4 * 8 + 16),
        ((4, 8), 1, "A", 0),
        ((4, 4), 1, "C", 4 * 4 + 8),
        ((4, 8), 2, "none", 0),
    ],
)
def test_blocks(channels, stride, shortcut, extra, rng):
    """relu(bn(conv(relu(bn(conv x)))) + shortcut), here in evaluation, where it can be worked out apart."""
    c, f = channels
    block = nn.BasicBlock(c, f, stride=stride, shortcut=shortcut, rng=rng).eval()
    assert sum(p.size for p in block.parameters()) == 9 * c * f + 9 * f * f + 4 * f + extra
    x = images(rng, 2, 5, 6, c)
    with no_grad():
        hidden = ops.relu(block.bn1(ops.conv2d(x, block.conv1.weight, stride=stride, padding=1)))
        y = block.bn2(ops.conv2d(hidden, block.conv2.weight, padding=1)).numpy()
        if shortcut == "A":
            y = y + ops.pad_shortcut(x, f, stride).numpy()
        elif shortcut in "BC" and extra:
            y = y + block.downsample[1](ops.conv2d(x, block.downsample[0].weight, stride=stride)).numpy()
        elif shortcut != "none":
            y = y + x
    np.testing.assert_allclose(block(x).numpy(), np.maximum(y, 0), atol=1e-5)


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
def test_the_gradient_of_a_block(shortcut, rng):
    block = nn.BasicBlock(2, 3, stride=2, shortcut=shortcut, rng=rng).astype(np.float64)
    x = rng.standard_normal((3, 4, 4, 2))
    assert gradcheck(block, [x]) < 1e-6
    y = block(Tensor(x, True))
    y.backward(np.ones(y.shape))
    assert all(p.grad is not None and np.abs(p.grad.numpy()).max() > 0 for p in block.parameters())
