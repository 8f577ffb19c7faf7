"""Every op that PyTorch has too: the same values and gradients, in float64, for random shapes and settings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyres
from tinyres import ops

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = [pytest.mark.torch, pytest.mark.slow]

few = settings(max_examples=60)
sizes = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)


def assert_same(function, reference, arrays, seed, *, second=True):
    """Values, gradients for a random cotangent, and (of a random projection of these) second derivatives.

    `function` takes Tensors, `reference` takes torch tensors of the same layout, in the order of `arrays`.
    """
    rng = np.random.default_rng(seed)
    ours = [tinyres.Tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = function(*ours), reference(*theirs)
    close(y.numpy(), z)
    cotangent = rng.standard_normal(y.shape)
    dy = tinyres.Tensor(cotangent, requires_grad=True)
    dz = torch.tensor(cotangent, requires_grad=True)
    gradients = tinyres.grad(y, ours, dy, create_graph=second)
    expected = torch.autograd.grad(z, theirs, dz, create_graph=second)
    for ours_, theirs_ in zip(gradients, expected, strict=True):
        close(ours_.numpy(), theirs_)
    if not second:
        return
    directions = [rng.standard_normal(g.shape) for g in gradients]
    ours_2 = tinyres.grad(sum_of(gradients, directions), [*ours, dy])
    total = sum((e * torch.tensor(d)).sum() for e, d in zip(expected, directions, strict=True))
    theirs_2 = torch.autograd.grad(total, [*theirs, dz], allow_unused=True)
    for mine, their, like in zip(ours_2, theirs_2, [*ours, dy], strict=True):
        zero = np.zeros(like.shape)
        close(zero if mine is None else mine.numpy(), torch.tensor(zero) if their is None else their)


def sum_of(gradients, directions):
    total = None
    for gradient, direction in zip(gradients, directions, strict=True):
        part = ops.sum(gradient * tinyres.Tensor(direction))
        total = part if total is None else total + part
    return total


def close(ours, theirs):
    theirs = theirs.detach().numpy()
    scale = max(1.0, np.abs(theirs).max(initial=0))
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12 * scale)


@st.composite
def convolutions(draw):
    """Shapes and settings of a convolution, down to images of one pixel, with groups and four paddings of their own."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    filters, channels = groups * draw(st.integers(1, 4)), groups * draw(st.integers(1, 4))
    r, s = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
    h = draw(st.integers(max(1, r - padding[0] - padding[1]), 9))
    w = draw(st.integers(max(1, s - padding[2] - padding[3]), 9))
    return (
        (draw(st.integers(1, 3)), h, w, channels),
        (r, s, channels // groups, filters),
        draw(st.integers(1, 3)),
        padding,
        groups,
    )


@few
@given(convolutions(), seeds)
def test_conv2d(configuration, seed):
    x_shape, w_shape, stride, padding, groups = configuration
    rng = np.random.default_rng(seed)
    top, bottom, left, right = padding

    def reference(x, w):
        padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom)).contiguous()
        filters = w.permute(3, 2, 0, 1).contiguous()  # PyTorch's derivatives of small images refuse other strides
        return F.conv2d(padded, filters, stride=stride, groups=groups).permute(0, 2, 3, 1)

    assert_same(
        lambda x, w: ops.conv2d(x, w, stride=stride, padding=padding, groups=groups),
        reference,
        [rng.standard_normal(x_shape), rng.standard_normal(w_shape)],
        seed,
    )


@few
@given(st.tuples(sizes, sizes, sizes, sizes), st.booleans(), st.sampled_from([0.1, 0.01, 1.0]), seeds)
def test_batch_norm(shape, training, momentum, seed):
    if training and np.prod(shape[:3]) < 3:
        shape = (3, *shape[1:])
    rng = np.random.default_rng(seed)
    channels = shape[3]
    running = rng.standard_normal(channels), rng.uniform(0.5, 2, channels)
    ours, theirs = [a.copy() for a in running], [torch.tensor(a) for a in running]

    def reference(x, gamma, beta):
        image = x.permute(0, 3, 1, 2)
        y = F.batch_norm(image, *theirs, gamma, beta, training=training, momentum=momentum, eps=1e-5)
        return y.permute(0, 2, 3, 1)

    assert_same(
        lambda x, gamma, beta: ops.batch_norm(x, gamma, beta, *ours, training=training, momentum=momentum),
        reference,
        [3 * rng.standard_normal(shape) + 1, rng.standard_normal(channels), rng.standard_normal(channels)],
        seed,
    )
    for mine, their in zip(ours, theirs, strict=True):
        close(mine, their)


@few
@given(st.tuples(sizes, sizes, sizes, sizes), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), seeds)
def test_max_pool2d(shape, kernel, stride, padding, seed):
    padding = min(padding, kernel // 2)
    shape = (shape[0], max(shape[1], kernel), max(shape[2], kernel), shape[3])
    x = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape) / 7.0  # no two are equal
    assert_same(
        lambda x: ops.max_pool2d(x, kernel, stride, padding),
        lambda x: F.max_pool2d(x.permute(0, 3, 1, 2), kernel, stride, padding).permute(0, 2, 3, 1),
        [x],
        seed,
    )


@few
@given(st.tuples(sizes, sizes, sizes), seeds)
def test_linear(shape, seed):
    n, before, after = shape
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(s) for s in ((n, before), (before, after), (after,))]
    assert_same(ops.linear, lambda x, w, b: F.linear(x, w.T, b), arrays, seed)


@few
@given(st.integers(1, 9), st.integers(2, 9), st.sampled_from([1.0, 30.0, 500.0]), seeds)
def test_softmax_cross_entropy(n, classes, scale, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    assert_same(
        lambda z: ops.softmax_cross_entropy(z, labels),
        lambda z: F.cross_entropy(z, torch.tensor(labels)),
        [scale * rng.standard_normal((n, classes))],
        seed,
    )


@few
@given(st.tuples(sizes, sizes, sizes, sizes), seeds)
def test_relu_tanh_sigmoid_softmax_and_global_avg_pool(shape, seed):
    x = np.random.default_rng(seed).standard_normal(shape)
    assert_same(ops.relu, F.relu, [x], seed, second=False)
    assert_same(ops.tanh, torch.tanh, [x], seed)
    assert_same(ops.sigmoid, torch.sigmoid, [x], seed)
    assert_same(ops.softmax, lambda x: F.softmax(x, -1), [x], seed)
    assert_same(ops.global_avg_pool, lambda x: x.mean((1, 2)), [x], seed, second=False)
