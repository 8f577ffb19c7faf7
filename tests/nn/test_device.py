"""Nets on a GPU: they move there and back to the last bit, and their saved state says nothing of the device."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, nn, ops, optim
from tinyres.errors import DeviceError
from tinyres.kernels import cuda
from tinyres.models import create
from tinyres.nn.flat import Flat

pytestmark = pytest.mark.usefixtures("gpu")


@pytest.fixture
def net():
    return create("resnet8", num_classes=3, in_channels=1)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name])


def test_there_and_back_to_the_last_bit(net, rng):
    for p in net.parameters():
        p.data[...] = rng.standard_normal(p.shape)
    net.bn1.running_var[...] = rng.random(16)
    before = net.state_dict()
    net.eval()
    assert net.to("cuda") is net
    assert {p.device for p in net.parameters()} == {"cuda"}
    assert all(p.is_flat() for p in net.parameters())
    assert len({id(p.flat) for p in net.parameters()}) == 1
    assert cuda.is_array(net.bn1.running_mean)
    assert not net.bn1.training
    state = net.state_dict()
    assert all(isinstance(array, np.ndarray) for array in state.values())
    same(state, before)
    net.to("cpu")
    assert {p.device for p in net.parameters()} == {"cpu"}
    assert isinstance(net.bn1.running_mean, np.ndarray)
    assert not net.bn1.training
    same(net.state_dict(), before)


def test_gradients_come_along(net, rng):
    Flat(net.parameters())
    p = net.parameters()[0]
    p.slot[...] = rng.standard_normal(p.shape)
    p.grad = type(p.detach())(p.slot)
    values = p.grad.numpy().copy()
    net.to("cuda")
    np.testing.assert_array_equal(p.grad.numpy(), values)
    assert p.grad.data is p.slot
    assert net.parameters()[1].grad is None


def test_a_state_goes_from_either_device_to_either(net):
    state = net.state_dict()
    other = create("resnet8", num_classes=3, in_channels=1, seed=1).to("cuda")
    flat = other.parameters()[0].flat
    other.load_state_dict(state)
    assert other.parameters()[0].flat is flat, "copied in: what a graph has captured stays where it is"
    same(other.state_dict(), state)
    here = create("resnet8", num_classes=3, in_channels=1, seed=2)
    here.load_state_dict({name: cuda.module().asarray(array) for name, array in state.items()})
    same(here.state_dict(), state)


def test_counts_stay_with_the_host():
    net = nn.Sequential(nn.Linear(2, 3), nn.Dropout()).to("cuda")
    assert isinstance(net[1].step, np.ndarray)
    assert net[0].weight.device == "cuda"


def test_the_optimizer_follows_its_parameters(net, rng):
    optimizer = optim.SGD(net.parameters(), 0.1)
    velocity = rng.standard_normal(optimizer.velocity.size).astype(np.float32)
    optimizer.load_state_dict({"velocity": velocity})
    net.to("cuda")
    optimizer.zero_grad()
    optimizer.step()  # without gradients nothing changes
    assert cuda.is_array(optimizer.velocity)
    np.testing.assert_array_equal(optimizer.state_dict()["velocity"], velocity)
    optimizer.load_state_dict({"velocity": 2 * velocity})
    np.testing.assert_array_equal(optimizer.state_dict()["velocity"], 2 * velocity)


def test_the_optimizer_refuses_a_gradient_of_another_device(net):
    net.to("cuda")
    optimizer = optim.SGD(net.parameters(), 0.1)
    first = net.parameters()[0]
    first.grad = Tensor(np.ones(first.shape, np.float32))
    with pytest.raises(DeviceError, match="a gradient is on cpu and its parameter on cuda"):
        optimizer.step()


def test_the_optimizer_refuses_nets_of_two_devices(net):
    here = create("resnet8", num_classes=3, in_channels=1).parameters()
    with pytest.raises(DeviceError, match="parameters are on cpu and cuda; move their nets to one device"):
        optim.SGD(here + net.to("cuda").parameters(), 0.1)


def test_two_devices_in_one_op_are_refused(net):
    net.to("cuda")
    with pytest.raises(DeviceError, match=r"array 0 is on cpu and array 1 on cuda; move one of them"):
        net(np.zeros((2, 8, 8, 1), np.float32))
    with pytest.raises(DeviceError, match="nothing is copied silently"):
        ops.add(np.zeros(3, np.float32), net.bn1.weight.data[:3])


def test_an_unknown_device(net):
    with pytest.raises(DeviceError, match="there is no device 'gpu'; known: cpu, cuda"):
        net.to("gpu")


def test_no_gpu(net, monkeypatch):
    monkeypatch.setattr(cuda, "missing", lambda: "it is away")
    with pytest.raises(DeviceError, match="there is no GPU to use: it is away"):
        net.to("cuda")
    assert {p.device for p in net.parameters()} == {"cpu"}
