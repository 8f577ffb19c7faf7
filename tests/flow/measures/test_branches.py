"""Depth, layers, blocks and the stream, found from the graph of a forward pass."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.flow.measures.nets import WIDTH, Odd, Plain
from tinyres import models, nn, ops
from tinyres.errors import DtypeError, GradientError, ShapeError
from tinyres.flow.measures.branches import find_blocks, find_places, find_stream
from tinyres.flow.measures.trace import trace
from tinyres.flow.measures.walk import number_of_paths
from tinyres.models.dense import DenseNet


def traced(net, rng, *shape):
    return trace(net, rng.standard_normal(shape).astype(np.float32), None)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("training", [True, False])
def test_blocks_of_the_paper(rng, shortcut, training):
    made = traced(models.create("resnet20", in_channels=1, shortcut=shortcut).train(training), rng, 4, 8, 8, 1)
    blocks = find_blocks(made)
    assert [block.name for block in blocks] == [f"layer{s}.{b}" for s in (1, 2, 3) for b in range(3)]
    assert [block.depth for block in blocks] == list(range(3, 20, 2))
    assert max(step.depth for step in made.steps.values()) == 20
    for block, after in itertools.pairwise(blocks):
        assert after.start == block.merge
    for block in blocks:
        assert len(block.parameters) == 6  # of the two convolutions and batch norms, not of the shortcut
        layers = [made.steps[order].name for order in sorted(block.inside) if made.steps[order].weights]
        assert layers == [f"{block.name}.conv1", f"{block.name}.conv2"]
        assert made.steps[block.merge].sources.keys() == {block.shortcut, block.branch}


def test_blocks_of_a_dense_net(rng):
    made = traced(DenseNet(3, width=8, inputs=6, shortcut=0.5, scale=0.5, branch=2), rng, 5, 6)
    blocks = find_blocks(made)
    assert [block.name for block in blocks] == ["units.0", "units.1", "units.2"]
    assert [len(block.beside) for block in blocks] == [1, 1, 1]  # the product with 0.5
    assert find_blocks(traced(DenseNet(3, width=8, inputs=6, shortcut=0.0), rng, 5, 6)) == []


def test_somebody_elses_blocks(rng):
    made = traced(Odd(rng), rng, 6, 4)
    outer, inner, gate, last = find_blocks(made)
    assert inner.merge in outer.inside
    assert outer.branch == 0  # the branch is the first input of that sum
    assert outer.shortcut == 1
    assert gate.depth == outer.depth + 1
    assert made.steps[last.merge].node.name == "add"


class Unnamed(nn.Module):
    """Blocks without a Module of their own: three of no name, two in one Module, one Module called twice."""

    def __init__(self):
        for name in ("a1", "a2", "b1", "b2"):
            setattr(self, name, nn.Linear(WIDTH, WIDTH, rng=0))
        self.stage, self.loop = Stage(), Loop()

    def forward(self, x):
        h = x + self.a2(ops.relu(self.a1(x)))
        h = h + self.b2(ops.relu(self.b1(h)))
        h = h + self.a2(ops.relu(self.b1(h)))
        h = self.stage(h)
        return self.loop(self.loop(h))


class Stage(nn.Module):
    def __init__(self):
        for name in ("a1", "a2", "b1", "b2"):
            setattr(self, name, nn.Linear(WIDTH, WIDTH, rng=0))

    def forward(self, x):
        h = x + self.a2(ops.relu(self.a1(x)))
        return h + self.b2(ops.relu(self.b1(h)))


class Loop(nn.Module):
    def __init__(self):
        self.a = nn.Linear(WIDTH, WIDTH, rng=0)

    def forward(self, x):
        return x + ops.relu(self.a(x))


def test_names_are_different_and_stay(rng):
    """What a block is called depends on the net alone, and no two blocks share a name."""
    net = Unnamed()
    for _ in range(2):
        names = [block.name for block in find_blocks(traced(net, rng, 6, WIDTH))]
        assert names == ["sum", "sum#2", "sum#3", "stage", "stage#2", "loop", "loop#2"]


def test_three_terms(rng):
    """h + F(h) + G(h): the shortcut of the second sum is the side on which h can pass untouched."""

    class Three(nn.Module):
        def __init__(self):
            self.f, self.g = nn.Linear(WIDTH, WIDTH, rng=rng), nn.Linear(WIDTH, WIDTH, rng=rng)

        def forward(self, x):
            return ops.relu(x + self.f(x)) + self.g(x)

    made = traced(Three(), rng, 6, WIDTH)
    first, second = find_blocks(made)
    assert (first.shortcut, first.branch) == (0, 1)
    assert (second.shortcut, second.branch) == (0, 1)
    assert first.merge in second.beside
    assert number_of_paths(made, [first, second], made.x.order) == {0: 1, 1: 2}


def test_no_block(rng):
    class Sums(nn.Module):
        def __init__(self):
            self.w = nn.Linear(WIDTH, WIDTH, rng=rng)
            self.v = nn.Linear(WIDTH, WIDTH, rng=rng)

        def forward(self, x):
            h = self.w(x) + self.v(x)  # two alike
            h = h + h
            return h + ops.relu(h) * 0.1  # no weights on either side

    assert find_blocks(traced(Sums(), rng, 6, WIDTH)) == []


def test_stream_and_places(rng):
    plain = traced(models.create("plain8", in_channels=1), rng, 4, 8, 8, 1)
    assert len(find_stream(plain)) == len(plain.steps) + 1  # with the input
    assert [plain.layer_of(order) for order in find_places(plain)] == [
        "conv1", *(f"layer{s}.0.conv{c}" for s in (1, 2, 3) for c in (1, 2))
    ]  # fmt: skip
    residual = traced(models.create("resnet8", in_channels=1), rng, 4, 8, 8, 1)
    assert [residual.depth_of(order) for order in find_places(residual)] == [1, 3, 5, 7]
    assert find_stream(residual)[0] == residual.x.order
    inside = frozenset().union(*(block.inside for block in find_blocks(residual)))
    assert inside.isdisjoint(find_stream(residual))


def test_depth_counts_weights_from_the_data_only(rng):
    class Standardised(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(rng.standard_normal((4, 4)).astype(np.float32))

        def forward(self, x):
            w = self.w - self.w.mean(0)
            return ops.matmul(ops.matmul(x, w), ops.transpose(w))

    made = traced(Standardised(), rng, 3, 4)
    assert max(step.depth for step in made.steps.values()) == 2
    assert len(made.steps) == 2  # nodes that no data reach are none of the net's


def test_refused(rng):
    net = Plain(rng)
    with pytest.raises(ShapeError, match="holds no example"):
        traced(net, rng, 0, 4)
    with pytest.raises(DtypeError, match="int64"):
        trace(net, rng.integers(0, 9, (3, 4)), None)
    with pytest.raises(ShapeError, match="a cotangent float32"):
        trace(net, rng.standard_normal((3, 4)).astype(np.float32), rng.standard_normal((3, 2)).astype(np.float32))

    class Constant(nn.Module):
        def forward(self, x):
            return nn.Parameter(np.ones(3, np.float32)) * 2

    with pytest.raises(GradientError, match="no tensor that depends"):
        traced(Constant(), rng, 3, 4)
    assert "_forward_hooks" not in vars(net) or not vars(net)["_forward_hooks"]
