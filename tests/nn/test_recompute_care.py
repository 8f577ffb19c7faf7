"""Recomputation by block: kernels in force, changes in between, accidents, and what is freed when."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, grad, nn, ops
from tinyres.errors import GradientError, ShapeError
from tinyres.kernels.registry import kernel
from tinyres.nn import RecomputedSequential, recompute


def images(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.usefixtures("own_kernels")
def test_the_second_run_has_the_kernels_of_the_first(rng):
    calls = []

    @kernel("tanh", "counted")
    def tanh(x):
        calls.append(x.shape)
        return np.tanh(x)

    class Tanh(nn.Module):
        def forward(self, x):
            return ops.tanh(x)

    with tinyres.use(tanh="counted"):
        y = recompute(Tanh(), Tensor(images(rng, 2, 3), requires_grad=True))
    with tinyres.use(tanh="numpy"):
        y.sum().backward()
    assert len(calls) == 2


@pytest.mark.parametrize("what", ["weight", "input"])
def test_a_change_between_forward_and_backward_is_an_error(what, rng):
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3, rng=1), nn.ReLU()), images(rng, 2, 5, 5, 3)
    y = recompute(net, Tensor(x, requires_grad=True))
    (net[0].weight.data if what == "weight" else x)[...] *= 1.01
    with pytest.raises(GradientError, match=r"the second run of Sequential.* gave other values than the first; change"):
        y.sum().backward()


def test_a_module_that_draws_by_itself_is_an_error(rng):
    class Noisy(nn.Module):
        def forward(self, x):
            return x * rng.standard_normal(x.shape).astype(np.float32)

    y = recompute(Noisy(), Tensor(images(rng, 2, 3), requires_grad=True))
    with pytest.raises(GradientError, match="gave other values"):
        y.sum().backward()


def test_a_module_that_returns_something_else():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(ShapeError, match="recompute: Pair returned a tuple; a Tensor is wanted"):
        recompute(Pair(), Tensor([1.0], requires_grad=True))


def test_an_accident_in_the_second_run_leaves_everything_as_it_was(rng):
    class Fragile(nn.Module):
        broken = False

        def __init__(self):
            self.bn, self.drop = nn.BatchNorm2d(3), nn.Dropout()

        def forward(self, x):
            y = self.drop(self.bn(x))
            if self.broken:
                raise KeyboardInterrupt
            return y

    block, heard = Fragile(), []
    block.register_forward_hook(lambda *_: heard.append(1))
    x = Tensor(images(rng, 2, 4, 4, 3), requires_grad=True)
    loss = ops.sum(recompute(block, x))
    before = {name: array.tobytes() for name, array in block.state_dict().items()}
    block.broken = True
    with pytest.raises(KeyboardInterrupt):
        loss.backward(retain_graph=True)
    assert {name: array.tobytes() for name, array in block.state_dict().items()} == before
    block.broken = False
    loss.backward()
    assert x.grad is not None
    assert heard == [1]
    recompute(block, x)
    assert heard == [1, 1]


def test_a_weight_from_outside_the_module_gets_its_gradient(rng):
    scale = Tensor(images(rng, 3), requires_grad=True)

    class Scaled(nn.Module):
        def __init__(self):
            self.shift = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            return x * ops.exp(scale) + self.shift

    x = images(rng, 2, 3)
    y = recompute(Scaled(), x).sum()
    np.testing.assert_allclose(grad(y, scale).numpy(), x.sum(0) * np.exp(scale.numpy()), rtol=1e-5)


def test_a_graph_is_freed_without_the_garbage_collector(rng):
    gc.collect()
    gc.disable()
    try:
        for use_it in (False, True):
            blocks = [nn.Sequential(nn.Linear(3, 3), nn.ReLU()) for _ in range(2)]
            y = RecomputedSequential(*blocks)(Tensor(images(rng, 2, 3), requires_grad=True))
            nodes = [weakref.ref(y.node), weakref.ref(y.node.edges[0][0])]
            if use_it:
                y.sum().backward()
            del y
            assert [node() for node in nodes] == [None, None]
    finally:
        gc.enable()


def test_one_block_at_a_time_is_unfolded_and_freed(rng):
    """When the gradient has passed a block, what its second run made is gone."""
    made, alive = [], []

    class Watched(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(3, 3)

        def forward(self, x):
            y = ops.tanh(self.inner(x))
            made.append(weakref.ref(y.data))
            return ops.exp(y)

    net = RecomputedSequential(*(Watched() for _ in range(5)))
    x = Tensor(images(rng, 2, 3), requires_grad=True)
    for block in net.children():
        block[1].register_forward_hook(
            lambda m, i, output: output.register_hook(lambda g: alive.append(sum(a() is not None for a in made)))
        )
    y = net(x).sum()
    assert sum(array() is not None for array in made) == 0
    y.backward()
    assert alive == [1] * 5
    assert sum(array() is not None for array in made) == 0
