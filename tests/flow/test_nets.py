"""Nets by path or by name, with the images that go with them."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import models, ops
from tinyres.data import load
from tinyres.errors import CheckpointError, ConfigError, FlowError
from tinyres.flow.measures.paths import path_lengths
from tinyres.flow.nets import net_of, record_net
from tinyres.models.dense import DenseNet
from tinyres.train import Config, fit


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return fit(Config(model="resnet8", shortcut="B", seed=3, iterations=2, runs=str(folder), name="one")).folder


def test_a_run_is_its_checkpoint(run):
    (path,) = run.glob("checkpoint-*.safetensors")
    whole, file = net_of(str(run), images=5, tested=7), net_of(str(path), images=5)
    assert all(np.array_equal(a, b) for a, b in zip(whole.model.parameters(), file.model.parameters(), strict=True))
    assert whole.x.shape == (5, 8, 8, 1)
    assert whole.test_x.shape == (7, 8, 8, 1)
    assert file.test_x.shape == (360, 8, 8, 1)
    assert {"model": "resnet8", "shortcut": "B", "seed": 3, "weights": "after step 2"}.items() <= whole.meta.items()


def test_a_run_that_recomputes_shows_its_blocks(tmp_path):
    config = Config(model="resnet8", iterations=1, recompute=True, runs=str(tmp_path), name="small")
    net = net_of(str(fit(config).folder), images=4)
    assert path_lengths(net.model, net.x, net.labels).blocks == 3


def test_images_are_those_of_training(run):
    digits = load("digits")
    scaled = digits.train.images / 16.0
    assert np.allclose(net_of(str(run), images=9).x, (scaled - scaled.mean(axis=0))[:9], atol=1e-6)
    assert np.array_equal(net_of(str(run), images=9).labels, digits.train.labels[:9])


def test_a_fresh_net_is_the_catalogue_s():
    net = net_of("resnet14", seed=5, shortcut="C", dtype="float64")
    same = models.create("resnet14", seed=5, shortcut="C", in_channels=1)
    assert np.allclose(net.model.parameters()[0].numpy(), same.parameters()[0].numpy())
    assert net.x.dtype == net.model.parameters()[0].dtype == np.float64
    assert net.meta["shortcut"] == "C"


@pytest.mark.parametrize(("name", "shortcut", "said"), [("dense4", 1.0, "1"), ("dense-plain4", 0.0, "none")])
def test_dense_nets(name, shortcut, said):
    net = net_of(name, seed=2)
    same = DenseNet(4, shortcut=shortcut, seed=2)
    assert net.x.shape == (64, 64)
    assert np.array_equal(net.model(net.x).numpy(), same(net.x).numpy())
    assert net.meta["shortcut"] == said


def test_recording_leaves_the_net_as_it_was(run):
    net = net_of(str(run))
    before = net.model.state_dict()
    record = record_net(net)
    assert all(np.array_equal(before[name], array) for name, array in net.model.state_dict().items())
    assert not net.model.training
    assert all(parameter.grad is None for parameter in net.model.parameters())
    net.model.train()
    assert record.loss[0] == pytest.approx(ops.softmax_cross_entropy(net.model(net.x), net.labels).item(), rel=1e-6)
    assert record.meta["batch"] == 64
    assert np.isnan(record.update_norm).all()


def test_what_does_not_fit(run, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'resnet"):
        net_of("resnet2O")
    with pytest.raises(ConfigError, match="dense6 takes no shortcut B: the name says it, dense6 or dense-plain6"):
        net_of("dense6", shortcut="B")
    with pytest.raises(CheckpointError, match="does not exist"):
        net_of("none.safetensors")
    with pytest.raises(ConfigError, match="images is 0"):
        net_of("resnet8", images=0)
    with pytest.raises(FlowError, match="is a record"):
        net_of("x/flow.npz")
    with pytest.raises(CheckpointError, match="does not exist"):
        net_of("runs/none")
    from PIL import Image

    for part in ("train", "test"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / part / name / "x.png")
    with pytest.raises(FlowError, match=r"was trained on images \[8, 8, 1\] of 10 classes and .* \[8, 8, 1\] of 2"):
        net_of(str(run), data=str(tmp_path))
