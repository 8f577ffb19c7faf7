"""Depth and memory: graphs of any depth go backward and away, and what a node kept is freed as the pass goes."""

from __future__ import annotations

import gc
import itertools
import sys
import tracemalloc
import weakref
from collections import Counter

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, autograd, models, ops, optim
from tinyres.function import Function, apply


def chain(x, layers):
    for _ in range(layers):
        x = ops.relu(x * 1.0)
    return x


def test_ten_thousand_layers_go_backward():
    assert sys.getrecursionlimit() < 10_000
    x = Tensor(np.array([1.0, -1.0]), requires_grad=True)
    y = chain(x, 10_000).sum()
    y.backward()
    assert x.grad.numpy().tolist() == [1.0, 0.0]


def test_a_deep_chain_is_differentiated_twice():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = x
    for _ in range(3_000):  # three times the recursion limit
        y = y * 1.0
    slope = tinyres.grad((y * y).sum(), x, create_graph=True)
    assert tinyres.grad(slope.sum(), x).numpy().tolist() == [2.0, 2.0]


@pytest.mark.parametrize("layers", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_graph_that_never_goes_backward_is_freed(layers):
    """Its nodes hold each other like a linked list; freeing that must not recurse."""
    array = np.ones(1)
    x = Tensor(array, requires_grad=True)
    watched = weakref.ref(y := chain(x, layers // 2))
    middle = weakref.ref(y.node)
    del y
    gc.collect()
    assert watched() is None
    assert middle() is None


def test_a_graph_is_freed_without_the_garbage_collector():
    """No cycles: what is forgotten is gone at once, also half way through a backward pass."""
    gc.collect()
    gc.disable()
    try:
        x = Tensor(np.ones((2, 6, 6, 4)), requires_grad=True)
        w = Tensor(np.ones((3, 3, 4, 4)), requires_grad=True)
        for use_it in ({}, {"retain_graph": False}, {"retain_graph": True}):
            y = ops.softmax(ops.tanh(ops.conv2d(ops.relu(x), w)))
            nodes = [weakref.ref(y.node), weakref.ref(y.node.edges[0][0])]
            if use_it:
                y.sum().backward(**use_it)
            del y
            assert [node() for node in nodes] == [None, None]
    finally:
        gc.enable()


def test_saved_arrays_are_freed_as_the_pass_goes():
    """When the gradient arrives at the start of a chain, what its later layers kept is gone already."""
    kept, alive = [], []

    class Keeping(Function):
        saves = ("extra",)

        def forward(self, x):
            self.extra = np.ones(1000)
            kept.append(weakref.ref(self.extra))
            return x * self.extra[0]

        def backward(self, dy):
            alive.append(sum(array() is not None for array in kept))
            return dy * self.extra[0]

    x = Tensor(np.ones(3), requires_grad=True)
    y = x
    for _ in range(6):
        y = apply(Keeping(), y)
    y.sum().backward()
    assert alive == [6, 5, 4, 3, 2, 1]
    assert [array() for array in kept] == [None] * 6


def test_activations_are_freed_as_the_pass_goes(rng):
    x = Tensor(rng.standard_normal((2, 5, 5, 3)), requires_grad=True)
    w = Tensor(rng.standard_normal((3, 3, 3, 3)), requires_grad=True)
    arrays, alive, y = [], [], x
    for _ in range(4):
        y = ops.conv2d(y, w, padding=1)
        y.register_hook(lambda _: alive.append(sum(a() is not None for a in arrays)))
        y = ops.relu(y)
        arrays.append(weakref.ref(y.data))
    loss = y.sum()
    del y
    loss.backward()
    assert len(alive) == 4
    assert all(later < earlier for earlier, later in itertools.pairwise(alive))


def test_retain_graph_keeps_them():
    x = Tensor(np.ones(3), requires_grad=True)
    y = ops.exp(x)
    array = weakref.ref(y.data)
    loss = y.sum()
    del y
    loss.backward(retain_graph=True)
    assert array() is not None
    loss.backward()
    assert array() is None


def test_every_node_of_resnet110_is_visited_once(monkeypatch, rng):
    """54 shortcuts: a walk from each node into its inputs would take 2^54 paths."""
    visits = Counter()
    original = autograd._step_back

    def counted(node, *rest):
        visits[node.order] += 1
        return original(node, *rest)

    monkeypatch.setattr(autograd, "_step_back", counted)
    model = models.create("resnet110")
    loss = ops.softmax_cross_entropy(model(rng.standard_normal((2, 8, 8, 3)).astype(np.float32)), [0, 1])
    nodes, stack = set(), [loss.node]
    while stack:
        node = stack.pop()
        if node.order not in nodes:
            nodes.add(node.order)
            stack.extend(edge[0] for edge in node.edges if isinstance(edge, tuple))
    loss.backward()
    assert len(nodes) > 109 + 54  # convolutions, and the ends of the blocks
    assert visits == dict.fromkeys(nodes, 1)


@pytest.mark.slow
def test_memory_does_not_grow_over_200_steps(rng):
    model = models.create("resnet8", num_classes=3)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    images, labels = rng.standard_normal((4, 8, 8, 3)).astype(np.float32), np.array([0, 1, 2, 1])

    def steps(count):
        for _ in range(count):
            optimizer.zero_grad()
            ops.softmax_cross_entropy(model(images), labels).backward()
            optimizer.step()

    def in_use():
        gc.collect()  # empties Python's free lists too
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        steps(20)
        before = in_use()
        steps(200)
        after = in_use()
    finally:
        tracemalloc.stop()
    assert after - before < 40_000  # 200 bytes a step; one activation of one image is 4 kB
