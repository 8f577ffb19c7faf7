"""Module: what is found in it, its state, its modes, its hooks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from tinyres import Tensor, models, nn, ops, optim
from tinyres.errors import CheckpointError, ShapeError


class Net(nn.Module):
    buffers = ("seen",)

    def __init__(self):
        self.first = nn.Linear(3, 4, rng=1)
        self.scale = nn.Parameter(np.ones(4, np.float32))
        self.body = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Linear(4, 2, rng=2))
        self.seen = np.zeros(2, np.int64)
        self.name = "not an array"

    def forward(self, x):
        self.seen += 1
        return self.body(self.first(x) * self.scale)


STATE = [
    "scale",
    "first.weight",
    "first.bias",
    "body.0.weight",
    "body.0.bias",
    "body.2.weight",
    "body.2.bias",
    "seen",
    "body.0.running_mean",
    "body.0.running_var",
]
X = np.arange(15, dtype=np.float32).reshape(5, 3) / 7


def test_names():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == STATE[:7]
    assert [name for name, _ in net.named_buffers()] == STATE[7:]
    assert list(net.state_dict()) == STATE
    assert [name for name, _ in net.named_modules()] == ["", "first", "body", "body.0", "body.1", "body.2"]
    assert [name for name, _ in net.children()] == ["first", "body"]
    assert net.parameters() == [p for _, p in net.named_parameters()]


def test_state_dict_holds_copies():
    net = Net()
    state, before = net.state_dict(), net.state_dict()
    for array in state.values():
        array[...] = 9
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_state_goes_into_another_net():
    net, other = Net(), Net()
    for parameter in net.parameters():
        parameter.data[...] = np.random.default_rng(3).standard_normal(parameter.shape)
    net(X)
    other.flatten().load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other.eval()(X).numpy(), net.eval()(X).numpy())
    net.scale.data[...] = 0  # copied, not shared
    assert other.scale.data.any()
    other.load_state_dict({name: Tensor(array) for name, array in net.state_dict().items()})
    other.load_state_dict({name: array.tolist() for name, array in net.state_dict().items()})
    assert not other.scale.data.any()
    assert other.scale.dtype == np.float32


def broken(change):
    state = Net().state_dict()
    for array in state.values():
        array += 1
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("first.bias"), r"does not fit this Net: 1 tensors are missing, the first is 'first.bias'\.$"),
        (lambda s: (s.pop("scale"), s.pop("body.2.bias")), "2 tensors are missing, the first is 'body.2.bias'"),
        (lambda s: s.update(scales=np.ones(4)), r"1 are unknown to it, the first is 'scales'; did you mean 'scale'\?"),
        (lambda s: s.update({"first.weights": s.pop("first.weight")}),
         r"1 tensors are missing, the first is 'first.weight'; 1 are unknown to it, the first is 'first.weights'; did"),
        (lambda s: s.update({"body.2.weight": np.ones((2, 4))}), r"tensor 'body.2.weight' has shape \[2, 4\] in the "
         r"state and \[4, 2\] in this Net; build the net with the settings that it was saved with"),
        (lambda s: s.update(seen=np.zeros(3)), r"tensor 'seen' has shape \[3\] in the state and \[2\]"),
        (lambda s: s.clear(), "10 tensors are missing"),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    net = Net()
    before = net.state_dict()
    with pytest.raises(CheckpointError, match=message):
        net.load_state_dict(broken(change))
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_modes_reach_everything_inside():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(m.training for _, m in net.named_modules())
    assert net.train() is net
    assert all(m.training for _, m in net.named_modules())
    net.body.train(False)
    assert net.training
    assert not net.body[0].training
    assert nn.ReLU().training  # the class itself is not changed


def test_a_module_that_is_used_twice_is_there_once():
    class Twice(nn.Module):
        def __init__(self):
            self.a = nn.Linear(2, 2)
            self.b = self.a

        def forward(self, x):
            return self.b(self.a(x))

    net = Twice().flatten()
    assert len(net.parameters()) == 2
    net.a.weight.data[...] = 3 * np.eye(2)
    ops.sum(net(np.array([[1, 2]], np.float32))).backward()
    assert net.a.weight.grad.numpy().tolist() == [[6, 6], [12, 12]]  # from both uses
    optim.SGD(net.parameters(), lr=1.0, momentum=0, weight_decay=0).step()
    assert net.a.weight.data.tolist() == [[-3, -6], [-12, -9]]  # and once


def test_astype():
    net = Net().flatten()
    before = net.state_dict()
    ops.sum(net(X)).backward()
    assert net.astype(np.float64) is net
    for name, parameter in net.named_parameters():
        assert parameter.dtype == np.float64
        assert parameter.grad is None
        assert np.shares_memory(parameter.data, parameter.flat.data)
        np.testing.assert_array_equal(parameter.data, before[name])
    assert net.body[0].running_mean.dtype == np.float64
    assert net.seen.dtype == np.int64
    y = net(X.astype(np.float64))
    assert y.dtype == np.float64
    y.sum().backward()
    assert net.scale.grad.dtype == np.float64
    assert net.astype(np.float32)(X).dtype == np.float32


def test_a_module_without_forward():
    with pytest.raises(ShapeError, match="Module has no forward; write one"):
        nn.Module()(X)


# ---- hooks ---------------------------------------------------------------------------------------------------------
def test_forward_hooks_see_module_inputs_and_output():
    net, seen = Net(), []
    removers = [
        module.register_forward_hook(lambda *call, name=name: seen.append((name, *call)))
        for name, module in net.named_modules()
    ]
    y = net(X)
    assert [call[0] for call in seen] == ["first", "body.0", "body.1", "body.2", "body", ""]
    assert seen[-1] == ("", net, (X,), y)
    assert seen[0][3].shape == (5, 4)
    for remove in removers:
        remove()
        remove()
    net(X)
    assert len(seen) == 6


def test_hooks_are_neither_state_nor_children():
    net = Net()
    net.register_forward_hook(lambda *_: None)
    assert list(net.state_dict()) == STATE
    assert len(list(net.children())) == 2


def test_hooks_listen_to_a_whole_net_and_change_nothing(rng):
    model = models.create("resnet8").eval()
    images = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)
    plain = model(images).numpy()
    outputs = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda m, inputs, output, name=name: outputs.setdefault(name, output.shape))
    np.testing.assert_array_equal(model(images).numpy(), plain)
    assert outputs["layer2.0"] == (2, 4, 4, 32)
    assert outputs[""] == (2, 10)
    assert set(outputs) == {name for name, _ in model.named_modules()}


# ---- copies --------------------------------------------------------------------------------------------------------
COPIES = [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]


@pytest.mark.parametrize("copied", COPIES, ids=["deepcopy", "pickle"])
def test_a_copy_and_its_original_in_one_graph(copied):
    """Backward tells leaves apart by the number that each draws when it is made; a copy must draw its own."""
    one = nn.Linear(2, 1).flatten()
    two = copied(one)
    x = np.array([[1, 2]], np.float32)
    (one(x) * 1.0 + two(x) * 10.0).sum().backward()
    assert one.weight.grad.numpy().tolist() == [[1], [2]]
    assert two.weight.grad.numpy().tolist() == [[10], [20]]


@pytest.mark.parametrize("copied", COPIES, ids=["deepcopy", "pickle"])
def test_a_copy_has_values_modes_and_gradients_but_shares_nothing(copied):
    net = Net().flatten()
    net.eval()(X).sum().backward()
    net.first.weight.requires_grad = False
    other = copied(net)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert p.requires_grad == q.requires_grad
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())
        assert not np.shares_memory(p.data, q.data)
        assert not np.shares_memory(p.grad.data, q.grad.data)
    assert not other.training
    assert not other.body[0].training


@pytest.mark.parametrize("copied", COPIES, ids=["deepcopy", "pickle"])
def test_a_copy_trains_by_itself(copied, rng):
    model = models.create("resnet8", num_classes=3)
    other = copied(model)
    images, labels = rng.standard_normal((4, 8, 8, 3)).astype(np.float32), [0, 1, 2, 1]
    start = model.state_dict()
    results = []
    for net in (model, other):
        optimizer = optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            ops.softmax_cross_entropy(net(images), labels).backward()
            optimizer.step()
        results.append(net.state_dict())
        if net is model:
            for name, array in other.state_dict().items():
                np.testing.assert_array_equal(array, start[name])
    for name in start:
        np.testing.assert_array_equal(results[0][name], results[1][name])
        assert (results[0][name] != start[name]).any()


@pytest.mark.parametrize("copied", COPIES, ids=["deepcopy", "pickle"])
def test_a_copy_leaves_the_hooks_behind(copied):
    """They listen to the original, and may hold what cannot be copied."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    heard, uncopied = [], (n for n in range(3))
    for module in (net, net[0]):
        module.register_forward_hook(lambda module, inputs, output: heard.append((module, uncopied)))
    other = copied(net)
    x = np.ones((1, 2), np.float32)
    assert np.array_equal(other(x).numpy(), net(x).numpy())
    assert [module for module, _ in heard] == [net[0], net]
