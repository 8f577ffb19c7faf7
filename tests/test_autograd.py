"""The pass back: values of gradients, where they go, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import tinyres
from tinyres import Tensor, grad, ops
from tinyres.errors import GradientError, ShapeError


def leaf(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


def values(tensor):
    return tensor.numpy().tolist()


def test_a_diamond_adds_up_its_two_ways():
    x = leaf(3.0)
    left, right = x * 2.0, x * x
    (left * right).sum().backward()  # 2 x^3
    assert values(x.grad) == [54.0]


def test_diamonds_behind_one_another_are_walked_once(monkeypatch):
    """40 shortcuts in a row have 2^40 paths; the pass goes through 80 nodes."""
    from tinyres.ops.elementwise import Add, Neg

    visits = []
    for kind in (Add, Neg):
        original = kind.backward
        monkeypatch.setattr(kind, "backward", lambda self, dy, b=original: visits.append(self) or b(self, dy))
    x = leaf(1.0)
    y = x
    for _ in range(40):
        y = y + (-y) * 0.5 + y * 0.5
    y.backward()
    assert values(x.grad) == [1.0]
    assert len(visits) == len(set(map(id, visits))) == 120


def test_a_tensor_used_several_times_in_one_op():
    x = leaf(2.0, 3.0)
    (x * x * x).sum().backward()
    assert values(x.grad) == [12.0, 27.0]
    x.grad = None
    ops.concat([x, x, x]).sum().backward()
    assert values(x.grad) == [3.0, 3.0]
    x.grad = None
    (x - x).sum().backward()
    assert values(x.grad) == [0.0, 0.0]


def test_an_old_result_used_late():
    """The pass goes by when nodes were made, not by how far they are from the end."""
    x = leaf(2.0)
    early = x * 3.0
    late = x
    for _ in range(5):
        late = late * 1.0
    (early * late + early).sum().backward()  # 3 x^2 + 3 x
    assert values(x.grad) == [15.0]


@given(mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=3), st.integers(0, 2**32))
def test_broadcasting_sums_back(shapes, seed):
    """Against the definition: an input that was copied receives the sum over its copies."""
    rng = np.random.default_rng(seed)
    a, b, c = (Tensor(np.asarray(rng.uniform(0.5, 2, s)), requires_grad=True) for s in shapes.input_shapes)
    y = (a * b - c) / b
    cotangent = np.asarray(rng.standard_normal(y.shape))
    y.backward(cotangent)

    def collected(full, like):
        full = np.broadcast_to(full, y.shape)
        extra = tuple(range(full.ndim - like.ndim))
        kept = tuple(i + len(extra) for i, n in enumerate(like.shape) if n == 1)
        return full.sum(axis=(*extra, *kept)).reshape(like.shape)

    np.testing.assert_allclose(a.grad.numpy(), collected(cotangent, a))
    np.testing.assert_allclose(b.grad.numpy(), collected(cotangent * c.data / b.data**2, b), atol=1e-12)
    np.testing.assert_allclose(c.grad.numpy(), collected(-cotangent / b.data, c))


def test_backward_accumulates_and_grad_does_not_touch_it():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3.0).sum().backward()
    assert values(x.grad) == [5.0, 7.0]
    assert values(grad((x * x).sum(), x)) == [2.0, 4.0]
    assert values(x.grad) == [5.0, 7.0]
    assert not x.grad.requires_grad


def test_gradients_of_leaves_are_their_own():
    """One array goes to both inputs of a sum; whoever scales the one gradient in place must not scale the other."""
    x, z = leaf(1.0, 2.0), leaf(3.0, 4.0)
    cotangent = np.ones(2)
    (x + z).backward(cotangent)
    x.grad.data *= 0.5
    assert values(z.grad) == [1.0, 1.0]
    assert cotangent.tolist() == [1.0, 1.0]
    (x + z).backward(cotangent)
    assert values(x.grad) == [1.5, 1.5]
    assert cotangent.tolist() == [1.0, 1.0]


def test_grad_of_intermediates_leaves_and_roots():
    x, w = leaf(2.0), leaf(5.0)
    hidden = x * w
    y = hidden * hidden * w  # x^2 w^3
    got = grad(y.sum(), [hidden, x, w, y], retain_graph=True)
    assert [values(g) for g in got] == [[100.0], [500.0], [300.0], [1.0]]
    assert values(grad(y.sum(), hidden)) == [100.0]


def test_unused_inputs_have_no_gradient():
    x, unused = leaf(2.0), leaf(1.0)
    later = x * 2.0
    got = grad((x * x).sum(), (x, unused, later))
    assert values(got[0]) == [4.0]
    assert got[1:] == (None, None)
    assert isinstance(got, tuple)
    assert grad((x * x).sum(), unused) is None


def test_several_outputs():
    x = leaf(1.0, 2.0)
    y, z = x * x, x * 3.0
    assert values(grad([y, z], x, [np.array([1.0, 0]), np.array([0, 2.0])])) == [2.0, 6.0]
    assert values(grad([(x * x).sum(), x.sum(), x.sum()], x)) == [4.0, 6.0]
    assert values(grad([x * x], x, np.array([1.0, 10.0]))) == [2.0, 40.0]
    with pytest.raises(GradientError, match="2 outputs and 1 cotangents; give one for each"):
        grad([x * x, x * x], x, [np.ones(2)])
    with pytest.raises(ShapeError, match=r"needs a cotangent"):
        grad([x * x, x.sum()], x)


def test_grad_with_respect_to_what_requires_none():
    x = leaf(1.0)
    with pytest.raises(GradientError, match="with respect to a tensor that does not require one"):
        grad((x * 2.0).sum(), [x, Tensor([1.0])])


def test_higher_orders():
    x = leaf(0.5, -1.5)
    y = (x**5).sum()
    expected = [5 * x.data**4, 20 * x.data**3, 60 * x.data**2, 120 * x.data, 120 + 0 * x.data, 0 * x.data]
    for derivative in expected:
        g = grad(y, x, create_graph=True)
        np.testing.assert_allclose(g.numpy(), derivative, rtol=1e-13)
        y = g.sum()


def test_powers_at_zero_have_derivatives_of_every_order():
    x = leaf(0.0, 1.0)
    assert values(grad((x**0).sum(), x)) == [0.0, 0.0]
    g = grad((x**2).sum(), x, create_graph=True)
    g = grad(g.sum(), x, create_graph=True)
    assert values(g) == [2.0, 2.0]
    assert values(grad(g.sum(), x)) == [0.0, 0.0]


def test_third_order_through_mixed_ops():
    """f = exp(x z) tanh(x): its derivatives in x, then z, then x, worked out by hand."""
    x, z = leaf(0.3), leaf(-0.7)
    f = ops.exp(x * z) * ops.tanh(x)
    fx = grad(f.sum(), x, create_graph=True)
    fxz = grad(fx.sum(), z, create_graph=True)
    fxzx = grad(fxz.sum(), x)
    a, b = 0.3, -0.7
    e, t = np.exp(a * b), np.tanh(a)
    s, ds = 1 - t**2, -2 * t * (1 - t**2)
    np.testing.assert_allclose(fx.numpy(), [e * (b * t + s)])
    np.testing.assert_allclose(fxz.numpy(), [e * (a * b * t + a * s + t)])
    np.testing.assert_allclose(
        fxzx.numpy(), [b * e * (a * b * t + a * s + t) + e * (b * t + a * b * s + s + a * ds + s)]
    )


def test_a_gradient_penalty_trains():
    w, x = leaf(2.0), leaf(3.0)
    slope = grad((w * w * x).sum(), x, create_graph=True)  # w^2
    ((slope - 1.0) ** 2).sum().backward()
    assert values(w.grad) == [2 * (4 - 1) * 2 * 2]
    assert x.grad is None or values(x.grad) == [0.0]


def test_without_create_graph_nothing_is_recorded():
    x = leaf(2.0)
    g = grad((x * x).sum(), x)
    assert not g.requires_grad
    assert g.node is None
    with tinyres.no_grad():
        g = grad(x, x, np.ones(1), create_graph=True)
    assert values(g) == [1.0]


def test_no_grad_and_its_end():
    x = leaf(2.0)
    with tinyres.no_grad():
        y = x * x
        assert not y.requires_grad
        assert y.node is None
    with pytest.raises(ZeroDivisionError), tinyres.no_grad():
        raise ZeroDivisionError
    assert (x * x).requires_grad

    @tinyres.no_grad()
    def evaluate():
        return x * x

    assert not evaluate().requires_grad
    assert not evaluate().requires_grad


def test_backward_of_a_leaf_is_its_cotangent():
    x = leaf(1.0, 2.0)
    x.backward(np.array([3.0, 4.0]))
    assert values(x.grad) == [3.0, 4.0]


# ---- a graph is used once, unless it is retained -------------------------------------------------------------------
USED_UP = r"^\w+: what was kept for backward is gone, because backward already ran .*; pass retain_graph=True"


def test_a_second_backward_says_why_it_cannot():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GradientError, match=USED_UP):
        y.backward()
    with pytest.raises(GradientError, match=USED_UP):
        grad(y, x)
    assert values(x.grad) == [4.0]


@pytest.mark.parametrize("op", [ops.neg, ops.sum, ops.transpose, lambda x: x + 1.0], ids=["neg", "sum", "T", "add"])
def test_also_where_nothing_was_kept(op):
    """The same rule for all ops, not only for those that happen to need what is gone."""
    y = op(op(leaf(2.0, 3.0)))
    y.backward(np.ones(y.shape))
    with pytest.raises(GradientError, match=USED_UP):
        y.backward(np.ones(y.shape))


def test_retain_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    for _ in range(3):
        y.backward(retain_graph=True)
    assert values(grad(y, x, create_graph=True)) == [4.0]
    assert values(grad(y, x)) == [4.0]
    assert values(x.grad) == [12.0]
    with pytest.raises(GradientError, match=USED_UP):
        y.backward()


def test_behind_a_used_up_part_nothing_is_silently_missing():
    x = leaf(2.0)
    hidden = x * x
    hidden.backward()
    y = (hidden * 3.0).sum()
    with pytest.raises(GradientError, match=USED_UP):
        grad(y, x)  # not None: y does depend on x
    assert values(grad((hidden * 3.0).sum(), hidden)) == [3.0]
    newer = leaf(7.0)
    assert values(grad((hidden * newer).sum(), newer)) == [4.0]
    with pytest.raises(GradientError, match=USED_UP):
        y.backward()


def test_two_graphs_over_one_leaf_are_independent():
    x = leaf(2.0)
    first, second = (x * x).sum(), (x * x).sum()
    first.backward()
    second.backward()
    assert values(x.grad) == [8.0]
