"""The decomposition against all paths one by one, and its sum against the gradient."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tests.flow.measures.nets import Chosen, Odd, Plain, bytes_of, gradient_at_input
from tinyres import models, nn, ops, use
from tinyres.errors import ConfigError, GradientError
from tinyres.flow.measures.branches import find_blocks
from tinyres.flow.measures.paths import path_lengths
from tinyres.flow.measures.state import statistics_of
from tinyres.flow.measures.trace import trace
from tinyres.flow.measures.walk import number_of_paths, parts_by_choice


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_every_path_by_itself(rng, blocks, norm):
    """2^n backward passes, each open on one side of every block, added up by length: the same vectors."""
    net = Chosen(blocks, rng, norm).astype(np.float64)
    x, cotangent = rng.standard_normal((6, 5)), rng.standard_normal((6, 3))
    singly = {}
    for choices in itertools.product((0, 1), repeat=blocks):
        net.choices = choices
        singly[sum(choices)] = singly.get(sum(choices), 0) + gradient_at_input(net, x, cotangent)
    net.choices = [None] * blocks
    made = trace(net, x, cotangent)
    parts = parts_by_choice(made, find_blocks(made), made.x.order)
    assert parts.keys() == singly.keys()
    for length, part in parts.items():
        np.testing.assert_allclose(part.numpy(), singly[length], rtol=1e-11, atol=1e-13)
    found = path_lengths(net, x, cotangent)
    np.testing.assert_allclose(found.norm, [np.linalg.norm(singly[k]) for k in range(blocks + 1)], rtol=1e-11)
    whole = sum(singly.values())
    np.testing.assert_allclose(
        found.contribution, [(singly[k] * whole).sum() / (whole**2).sum() for k in range(blocks + 1)], rtol=1e-10
    )
    assert found.paths == tuple(math.comb(blocks, k) for k in range(blocks + 1))
    assert found.gradient_norm == pytest.approx(np.linalg.norm(whole), rel=1e-12)


@pytest.mark.parametrize(("dtype", "within"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("name", ["resnet20", "resnet110"])
def test_parts_sum_to_the_gradient(rng, name, dtype, within):
    net = models.create(name, in_channels=1, seed=1).astype(dtype)
    x = rng.standard_normal((64 if name == "resnet20" else 16, 8, 8, 1)).astype(dtype)
    labels = rng.integers(0, 10, len(x))
    before = bytes_of(net)
    found = path_lengths(net, x, labels)
    assert found.error < within
    assert found.contribution.sum() == pytest.approx(1, abs=within)
    n = {"resnet20": 9, "resnet110": 54}[name]
    assert found.paths == tuple(math.comb(n, k) for k in range(n + 1))
    assert found.norm.sum() >= found.gradient_norm * (1 - within)
    assert bytes_of(net) == before
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("statistics", ["training", "running"])
def test_fused_and_composed_agree(rng, shortcut, statistics):
    net = models.create("resnet8", in_channels=1, shortcut=shortcut).astype(np.float64)
    x, labels = rng.standard_normal((6, 8, 8, 1)), rng.integers(0, 10, 6)
    fused = path_lengths(net, x, labels, statistics=statistics)
    with use(bn_relu="composed", bn_add_relu="composed", all="numpy"):
        composed = path_lengths(net, x, labels, statistics=statistics)
    np.testing.assert_allclose(fused.norm, composed.norm, rtol=1e-9)
    assert fused.paths == composed.paths == (1, 3, 3, 1)


def test_later_block(rng):
    net = models.create("resnet14", in_channels=1).astype(np.float64)
    x, labels = rng.standard_normal((6, 8, 8, 1)), rng.integers(0, 10, 6)
    last = path_lengths(net, x, labels, block=-1)
    assert (last.blocks, last.paths, last.at) == (1, (1, 1), "layer3.1")
    third = path_lengths(net, x, labels, block=2)
    assert third.blocks == 4
    assert third.error < 1e-12
    assert list(third.table()) == ["length", "paths", "norm", "norm per path", "contribution"]
    assert {len(column) for column in third.table().values()} == {5}
    np.testing.assert_allclose(third.per_path * third.paths, third.norm)
    with pytest.raises(ConfigError, match="no block 6"):
        path_lengths(net, x, labels, block=6)


def test_a_net_that_somebody_else_wrote(rng):
    net = Odd(rng).astype(np.float64)
    x, cotangent = rng.standard_normal((6, 4)), rng.standard_normal((6, 5))
    made = trace(net, x, cotangent)
    blocks = find_blocks(made)
    assert len(blocks) == 4
    found = path_lengths(net, x, cotangent)
    assert found.error < 1e-12
    # from the last sum back: (1 + z) of the shared layer; the two alike make no choice; (1 + z) of the gate; and
    # 1 + z (1 + z) of the block with a block in its branch
    expected = np.polymul(np.polymul([1, 1], [1, 1]), [1, 1, 1])
    assert list(found.paths) == list(expected[::-1])


def test_a_written_out_norm_is_no_choice(rng):
    """A layer norm by hand has many edges; the number of paths is that of the choices at sums."""

    class ByHand(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(rng.standard_normal((5, 5)).astype(np.float32))

        def forward(self, x):
            for _ in range(3):
                centred = x - x.mean(1, keepdims=True)
                x = x + ops.matmul(centred / ops.sqrt((centred * centred).mean(1, keepdims=True) + 0.1), self.w)
            return x

    net = ByHand().astype(np.float64)
    found = path_lengths(net, rng.standard_normal((4, 5)), rng.standard_normal((4, 5)))
    assert found.paths == (1, 3, 3, 1)
    assert found.error < 1e-12


def test_span_and_cancellation(rng):
    net = models.create("resnet20", in_channels=1)
    found = path_lengths(net, rng.standard_normal((8, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 8))
    low, high = found.span(0.9)
    mass = found.norm / found.norm.sum()
    assert max(mass[:low].sum(), mass[high + 1 :].sum()) <= 0.05 + 1e-12
    assert mass[low : high + 1].sum() >= 0.9
    assert found.cancellation >= 1
    with pytest.raises(ConfigError, match="between 0 and 1"):
        found.span(90)


def test_plain_net_says_so(rng):
    net = models.create("plain20", in_channels=1)
    with pytest.raises(GradientError, match="this CifarNet is plain"):
        path_lengths(net, rng.standard_normal((4, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 4))
    with pytest.raises(GradientError, match="plain"):
        path_lengths(Plain(rng), rng.standard_normal((4, 4)).astype(np.float32), rng.integers(0, 3, 4))


def test_recomputed_blocks_are_named(rng):
    net = models.create("resnet20", in_channels=1, recompute=True)
    with pytest.raises(GradientError, match="recompute=False"):
        path_lengths(net, rng.standard_normal((4, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 4))


def test_what_is_not_finite_is_located(rng):
    net = models.create("resnet20", in_channels=1)
    net.layer2[1].conv1.weight.data[...] = np.nan
    before = bytes_of(net)
    x, labels = rng.standard_normal((4, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 4)
    with pytest.raises(
        GradientError, match=r"loss is nan; on the way forward .* leaves layer2\.1\.conv1 \(conv2d, depth"
    ):
        path_lengths(net, x, labels)
    assert bytes_of(net) == before
    net = Chosen(3, rng)
    cotangent = np.zeros((4, 3), np.float32)
    cotangent[0, 0] = np.inf
    with pytest.raises(GradientError, match="leaves mul"):
        path_lengths(net, rng.standard_normal((4, 5)).astype(np.float32), cotangent)


def test_a_batch_that_is_not_finite(rng):
    x = rng.standard_normal((4, 5)).astype(np.float32)
    x[1, 2] = np.nan
    with pytest.raises(GradientError, match="the batch holds values that are not finite"):
        path_lengths(Chosen(2, rng), x, np.ones((4, 3), np.float32))


def test_zero_gradient(rng):
    with pytest.raises(GradientError, match="is zero"):
        path_lengths(Chosen(2, rng), rng.standard_normal((4, 5)).astype(np.float32), np.zeros((4, 3), np.float32))


def test_walk_frees_what_nodes_kept(rng):
    net = models.create("resnet20", in_channels=1)
    with statistics_of(net, "training", None):
        made = trace(net, rng.standard_normal((4, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 4))
    blocks = find_blocks(made)
    nodes = [step.node for order, step in made.steps.items() if order > blocks[4].start]
    assert sum(number_of_paths(made, blocks, blocks[4].start).values()) == 2**5
    parts_by_choice(made, blocks, blocks[4].start)
    assert not made.steps
    assert all(node.edges == () for node in nodes)


def test_a_gate_on_both_sides_is_one_choice(rng):
    """Highway units h (1 - t) + F(h) t: the gate t acts on either side, and each unit is still one choice."""

    class Highway(nn.Module):
        def __init__(self):
            self.gate, self.change = (nn.Linear(5, 5, rng=rng) for _ in range(2))

        def forward(self, h):
            t = ops.sigmoid(self.gate(h))
            return ops.mul(h, 1.0 - t) + ops.mul(ops.tanh(self.change(h)), t)

    net = nn.Sequential(Highway(), Highway(), Highway(), nn.Linear(5, 3, rng=rng)).astype(np.float64)
    found = path_lengths(net, rng.standard_normal((4, 5)), rng.standard_normal((4, 3)))
    assert found.paths == (1, 3, 3, 1)
    assert found.error < 1e-12
