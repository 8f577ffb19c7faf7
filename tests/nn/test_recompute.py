"""Recomputation by block: less is kept, and nothing else is different, down to the last bit."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, grad, models, nn, no_grad, ops, optim
from tinyres.errors import GradientError
from tinyres.nn import RecomputedSequential, recompute


def images(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def trained(name, shortcut, *, recompute, steps=3):
    """The bytes of every loss, gradient, weight, velocity and running average of some steps."""
    rng = np.random.default_rng(5)
    model = models.create(name, shortcut=shortcut, num_classes=3, recompute=recompute)
    optimizer, told = optim.SGD(model.parameters(), lr=0.1), []
    for _ in range(steps):
        loss = ops.softmax_cross_entropy(model(images(rng, 4, 9, 9, 3)), rng.integers(3, size=4))
        optimizer.zero_grad()
        loss.backward()
        told += [loss.data.tobytes(), model.parameters()[0].flat.grad.tobytes()]
        optimizer.step()
    return [*told, optimizer.velocity.tobytes(), *(array.tobytes() for array in model.state_dict().values())]


@pytest.mark.parametrize("kernels", ["numpy", "numba", "numba.winograd"])
@pytest.mark.parametrize(
    ("name", "shortcut"), [("resnet20", "A"), ("resnet8", "B"), ("resnet8", "C"), ("plain14", "none")]
)
def test_training_is_the_same_to_the_last_bit(name, shortcut, kernels):
    with tinyres.use(all=kernels):
        expected = trained(name, shortcut, recompute=False)
        assert trained(name, shortcut, recompute=True) == expected
    assert len(set(expected[:6])) == 6  # it trains


def test_parameters_and_their_names_are_the_same():
    plain, other = (models.create("resnet8", shortcut="B", recompute=r) for r in (False, True))
    assert list(plain.state_dict()) == list(other.state_dict())
    other.load_state_dict(plain.state_dict())


class Counted(nn.Module):
    """A block with everything that a second run could spoil: averages, a mask, a count of its own."""

    buffers = ("calls",)

    def __init__(self, rng):
        self.conv = nn.Conv2d(3, 3, 3, padding=1, rng=rng)
        self.bn, self.drop, self.calls = nn.BatchNorm2d(3), nn.Dropout(0.5, seed=3), np.zeros((), np.int64)

    def forward(self, x):
        self.calls += self.training
        return ops.relu(self.drop(self.bn(self.conv(x))) + x)


def both(rng, blocks=2):
    """The same blocks kept and recomputed."""
    seed = int(rng.integers(1000))
    return tuple(
        kind(*(Counted(np.random.default_rng(seed + n)) for n in range(blocks)))
        for kind in (nn.Sequential, RecomputedSequential)
    )


def gradients(net, x, weight):
    x = Tensor(x, requires_grad=True)
    y = net(x)
    ops.sum(y * weight).backward()
    return [y.data.tobytes(), x.grad.data.tobytes(), *(p.grad.data.tobytes() for p in net.parameters())]


def test_masks_are_drawn_once_and_averages_updated_once(rng):
    plain, other = both(rng)
    x, weight = images(rng, 2, 4, 4, 3), images(rng, 2, 4, 4, 3)
    for run in range(1, 4):
        assert gradients(plain, x, weight) == gradients(other, x, weight)
        for (name, mine), its in zip(plain.state_dict().items(), other.state_dict().values(), strict=True):
            assert mine.tobytes() == its.tobytes(), name
        assert int(other[0].drop.step) == int(other[0].calls) == run


def test_a_block_used_twice_with_its_state_changing_in_between(rng):
    def twice(net, x, weight):
        x = Tensor(x, requires_grad=True)
        y = ops.sum(net(x) * weight)
        for layer in net.children():
            layer[1].eval()  # the mode of the forward pass counts, not that of the backward pass
        y.backward()
        return [x.grad.data.tobytes(), *(p.grad.data.tobytes() for p in net.parameters())]

    results = []
    for kind in (nn.Sequential, RecomputedSequential):
        block = Counted(np.random.default_rng(1))
        net = kind(block, block, nn.ReLU(), block)
        results.append(twice(net, *(np.random.default_rng(2).standard_normal((2, 2, 4, 4, 3)).astype(np.float32))))
        assert not block.training
        assert not block.bn.training
        assert int(block.calls) == 3
    assert results[0] == results[1]


def test_an_input_that_is_used_elsewhere_too(rng):
    """Sums are made in the same order, in which floating point rounds the same."""
    results = []
    for kind in (nn.Sequential, RecomputedSequential):
        net = kind(Counted(np.random.default_rng(1)))
        x = Tensor(images(np.random.default_rng(2), 2, 4, 4, 3), requires_grad=True)
        middle = ops.tanh(x * 3.0)
        y = ops.sum(ops.exp(middle) * net(middle) + middle * middle)
        y.backward()
        results.append(x.grad.data.tobytes())
    assert results[0] == results[1]


# ---- what is kept --------------------------------------------------------------------------------------------------
def test_nothing_of_the_inside_is_kept(rng):
    for kind, expected in ((nn.Sequential, True), (RecomputedSequential, False)):
        net, inner = kind(Counted(rng), Counted(rng)), []
        net[0].bn.register_forward_hook(lambda m, i, output, inner=inner: inner.append(weakref.ref(output.data)))
        y = net(Tensor(images(rng, 2, 4, 4, 3), requires_grad=True))
        assert inner[0]() is None  # dropout keeps no input
        inputs = [weakref.ref(a) for a in (getattr(node, "x", None) for node in nodes_of(y)) if a is not None]
        assert (len(inputs) > 2) == expected
        y.sum().backward()
        assert [array() for array in inputs] == [None] * len(inputs)


def nodes_of(y):
    found, stack = {}, [y.node]
    while stack:
        node = stack.pop()
        if node.order not in found:
            found[node.order] = node
            stack += [edge[0] for edge in node.edges if isinstance(edge, tuple)]
    return list(found.values())


def test_the_graph_has_one_node_a_block_until_backward(rng):
    y = models.create("resnet20", recompute=True)(images(rng, 2, 8, 8, 3))
    assert sum(type(node).__name__ == "Recomputed" for node in nodes_of(y)) == 9
    assert len(nodes_of(y)) < 20


def test_without_a_graph_nothing_is_made(rng):
    plain, other = both(rng)
    x = images(rng, 2, 4, 4, 3)
    with no_grad():
        y = other(x)
    assert not y.requires_grad
    assert y.data.tobytes() == plain(x).data.tobytes()
    assert recompute(nn.ReLU(), x).node is None
    assert recompute(nn.Dropout().eval(), given := Tensor(x, requires_grad=True)) is given
    plain.eval()
    other.eval()
    assert gradients(plain, x, x) == gradients(other, x, x)


# ---- hooks, sources, higher orders ---------------------------------------------------------------------------------
def test_hooks_are_called_as_without(rng):
    plain, other = both(rng)
    x, told = images(rng, 2, 4, 4, 3), {}
    for kind, net in (("plain", plain), ("other", other)):
        seen = told[kind] = []
        for name, module in net.named_modules():

            def listen(module, inputs, output, name=name, seen=seen):
                seen.append((name, output.data.tobytes()))
                output.register_hook(lambda g: seen.append((name, "gradient", g.data.tobytes())))

            module.register_forward_hook(listen)
        net.parameters()[0].register_hook(lambda g, seen=seen: seen.append(("weight", g.data.tobytes())))
        start = Tensor(x, requires_grad=True)
        start.register_hook(lambda g, seen=seen: seen.append(("x", g.data.tobytes())))
        ops.sum(net(start) * x).backward()
    assert sorted(map(str, told["plain"])) == sorted(map(str, told["other"]))
    assert len(told["plain"]) == 2 * 9 + 2


def test_a_hook_may_replace_a_gradient_inside(rng):
    plain, other = both(rng)
    for net in (plain, other):
        net[0].bn.register_forward_hook(lambda m, i, output: output.register_hook(lambda g: g * 2.0) and None)
    x = images(rng, 2, 4, 4, 3)
    assert gradients(plain, x, x) == gradients(other, x, x)


@pytest.mark.parametrize("depth", [1, 2])
def test_gradients_with_respect_to_chosen_tensors(rng, depth):
    """A parameter, the input, a tensor inside a block that a hook has caught; also inside a block inside a block."""
    results = []
    for kind in (nn.Sequential, RecomputedSequential):
        net = kind(Counted(np.random.default_rng(1)), Counted(np.random.default_rng(2)))
        for _ in range(depth - 1):
            net = kind(net, nn.ReLU())
        inner, weight = [], images(np.random.default_rng(3), 2, 4, 4, 3)
        modules = dict(net.named_modules())
        name = next(name for name in modules if name.endswith("1.conv"))
        modules[name].register_forward_hook(lambda m, i, output, inner=inner: inner.append(output))
        x = Tensor(weight, requires_grad=True)
        y = ops.sum(net(x) * weight)
        sources = [inner[0], net.parameters()[0], x]
        each = [grad(y, source, retain_graph=True).data.tobytes() for source in sources]
        assert [g.data.tobytes() for g in grad(y, sources)] == each
        results.append(each)
    assert results[0] == results[1]


def test_nested_recomputation_is_the_same(rng):
    x, results = images(rng, 2, 4, 4, 3), []
    for outer in (nn.Sequential, RecomputedSequential):
        for inner in (nn.Sequential, RecomputedSequential):
            blocks = [Counted(np.random.default_rng(n)) for n in range(4)]
            net = outer(inner(*blocks[:2]), inner(outer(blocks[2]), blocks[3]))
            results.append(gradients(net, x, x) + [array.tobytes() for array in net.state_dict().values()])
    assert results.count(results[0]) == 4


def test_backward_twice_over_a_graph_that_is_retained(rng):
    plain, other = both(rng)
    x, told = images(rng, 2, 4, 4, 3), []
    for net in (plain, other):
        y = ops.sum(net(Tensor(x, requires_grad=True)) * x)
        y.backward(retain_graph=True)
        y.backward()
        told.append([p.grad.data.tobytes() for p in net.parameters()])
        with pytest.raises(GradientError, match="backward already ran over this graph"):
            y.backward()
    assert told[0] == told[1]


def test_the_derivative_of_a_gradient(rng):
    values = []
    for kind in (nn.Sequential, RecomputedSequential):
        net = kind(Counted(np.random.default_rng(1)), Counted(np.random.default_rng(2))).astype(np.float64)
        x = Tensor(np.random.default_rng(3).standard_normal((2, 3, 3, 3)), requires_grad=True)
        slope = grad(ops.sum(ops.tanh(net(x))), x, create_graph=True)
        values.append([g.data.tobytes() for g in grad((slope * slope).sum(), [x, *net.parameters()[:2]])])
    assert values[0] == values[1]


def test_what_has_no_second_derivative_says_so(rng):
    model = models.create("resnet8", recompute=True)
    x = Tensor(images(rng, 2, 8, 8, 3), requires_grad=True)
    with tinyres.use(all="numba"):
        slope = grad(model(x).sum(), x, create_graph=True)
        with pytest.raises(GradientError, match="no second derivative"):
            grad((slope * slope).sum(), x)
