"""The deeper net computes what the shallow one does, in evaluation exactly, and near it in training."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import models
from tinyres.errors import ConfigError, ShapeError
from tinyres.flow.measures.deepen import deepened
from tinyres.models.dense import DenseNet


@pytest.fixture
def images(rng):
    return rng.standard_normal((40, 8, 8, 1))


@pytest.fixture
def shallow(rng, images):
    """A plain net of 8 layers whose batch norms are not those of a new net."""
    net = models.CifarNet(8, shortcut="none", in_channels=1, num_classes=7).astype(np.float64)
    for _, module in net.named_modules():
        if "running_var" in module.buffers:
            module.weight.data[...] = rng.uniform(0.5, 1.5, module.weight.shape)
            module.bias.data[...] = rng.normal(0, 0.3, module.bias.shape)
    for _ in range(30):
        net(images)
    return net


def test_the_same_function(shallow, images, rng):
    before = {name: array.tobytes() for name, array in shallow.state_dict().items()}
    deep = deepened(shallow, 26, images)
    assert {name: array.tobytes() for name, array in shallow.state_dict().items()} == before
    assert shallow.training
    assert sum(p.size for p in deep.parameters()) > 2 * sum(p.size for p in shallow.parameters())
    others = rng.standard_normal((9, 8, 8, 1))
    expected = shallow.eval()(others).numpy()
    np.testing.assert_allclose(deep.eval()(others).numpy(), expected, rtol=1e-9, atol=1e-11)


def test_near_it_in_training(shallow, images):
    """The batch from which the statistics come: its own are the running averages, but for those of the first blocks."""
    deep = deepened(shallow, 14, images)
    shallow(images)
    apart = np.abs(deep.train()(images).numpy() - shallow.train()(images).numpy()).max()
    assert apart < 0.5 * np.abs(shallow(images).numpy()).max()


def test_a_channel_that_is_dead(shallow, images):
    shallow.layer1[0].bn2.bias.data[3] = -100
    deep = deepened(shallow, 14, images)
    np.testing.assert_allclose(deep.eval()(images).numpy(), shallow.eval()(images).numpy(), rtol=1e-9, atol=1e-11)


def test_float32(shallow, images):
    shallow.astype(np.float32)
    images = images.astype(np.float32)
    deep = deepened(shallow, 56, images)
    np.testing.assert_allclose(deep.eval()(images).numpy(), shallow.eval()(images).numpy(), rtol=1e-3, atol=1e-4)


def test_mistakes(shallow, images):
    with pytest.raises(ConfigError, match="needs no identity layers"):
        deepened(models.create("resnet20", in_channels=1), 56, images.astype(np.float32))
    with pytest.raises(ShapeError, match="no images"):
        deepened(shallow, 14, images[:0])
    with pytest.raises(ConfigError, match="a DenseNet has no stages"):
        deepened(DenseNet(3), 14, images)
    with pytest.raises(ConfigError, match="8 layers already"):
        deepened(shallow, 8, images)
