"""The flat buffers: parameters and gradients are views of them, whatever happens to a net."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, models, nn, ops
from tinyres.autograd import listening
from tinyres.errors import DtypeError
from tinyres.kernels.launch import launch as original
from tinyres.nn.flat import Flat, runs
from tinyres.nn.module import Parameter


def parameters(*shapes, dtype=np.float32):
    return [Parameter(np.full(shape, value, dtype)) for value, shape in enumerate(shapes, 1)]


def test_values_move_into_the_buffer_and_arrays_become_views():
    one, two, three = parameters((2, 2), (3,), ())
    flat = Flat([one, two, three])
    assert flat.data.tolist() == [1, 1, 1, 1, 2, 2, 2, 3]
    flat.data[...] = np.arange(8)
    assert one.data.tolist() == [[0, 1], [2, 3]]
    assert two.data.tolist() == [4, 5, 6]
    two.data[1] = 50
    assert flat.data[5] == 50
    assert (one.start, two.start, three.start) == (0, 4, 7)
    assert all(p.is_flat() for p in (one, two, three))


def test_gradients_land_in_the_other_buffer():
    one, two = parameters((2,), (2,))
    flat = Flat([one, two])
    for round_ in (1, 2):
        (one * 3.0 + two * one).sum().backward()
        assert flat.grad.tolist() == [5.0 * round_, 5.0 * round_, 1.0 * round_, 1.0 * round_]
        assert np.shares_memory(one.grad.data, flat.grad)
    one.grad = two.grad = None
    (one * 1.0).sum().backward()
    assert flat.grad.tolist()[:2] == [1, 1]  # what stood there from before is not added to
    assert two.grad is None


def test_a_gradient_that_is_there_already_moves_too():
    (one,) = parameters((2,))
    (one * 3.0).sum().backward()
    flat = Flat([one])
    assert flat.grad.tolist() == [3, 3]
    (one * 1.0).sum().backward()
    assert one.grad.numpy().tolist() == [4, 4]
    assert np.shares_memory(one.grad.data, flat.grad)


def test_a_hook_on_a_parameter_changes_what_is_stored():
    (one,) = parameters((2,))
    flat = Flat([one])
    one.register_hook(lambda g: g * 10.0)
    (one * 3.0).sum().backward()
    assert flat.grad.tolist() == [30, 30]


def test_types_do_not_share_a_buffer():
    with pytest.raises(DtypeError, match="parameters of float32 and float64 cannot share a buffer; use astype"):
        Flat(parameters((2,)) + parameters((2,), dtype=np.float64))


def test_runs_are_stretches_without_a_gap():
    ps = parameters((2,), (3,), (1,), (4,))
    flat = Flat(ps)
    assert list(runs(ps)) == [(flat, slice(0, 10))]
    assert list(runs([ps[0], ps[1], ps[3]])) == [(flat, slice(0, 5)), (flat, slice(6, 10))]
    assert list(runs([ps[1], ps[0]])) == [(flat, slice(2, 5)), (flat, slice(0, 2))]
    assert list(runs([])) == []
    others = parameters((2,))
    other = Flat(others)
    assert list(runs([ps[0], others[0], ps[1]])) == [(flat, slice(0, 2)), (other, slice(0, 2)), (flat, slice(2, 5))]


def test_whether_a_parameter_still_lies_in_its_buffer():
    one, two = parameters((2,), (2,))
    assert not one.is_flat()
    Flat([one, two])
    two.data = two.data * 2
    assert one.is_flat()
    assert not two.is_flat()


@pytest.mark.parametrize("name", ["resnet8", "plain8"])
def test_a_net_is_flat_from_the_start_and_after_everything(name, rng):
    model = models.create(name)
    images = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)

    def check(dtype=np.float32):
        (found,) = runs(model.parameters())
        flat, part = found
        assert part == slice(0, flat.data.size)
        assert flat.data.size == sum(p.size for p in model.parameters())
        assert flat.data.dtype == flat.grad.dtype == dtype
        ops.sum(model(Tensor(images.astype(dtype)))).backward()
        joined = np.concatenate([p.grad.numpy().ravel() for p in model.parameters()])
        np.testing.assert_array_equal(flat.grad, joined)
        np.testing.assert_array_equal(flat.data, np.concatenate([p.data.ravel() for p in model.parameters()]))

    check()
    model.load_state_dict(models.create(name, seed=3).state_dict())
    check()
    model.astype(np.float64)
    check(np.float64)


def test_a_module_without_parameters_has_nothing_to_flatten():
    net = nn.Sequential(nn.ReLU(), nn.Flatten())
    assert net.flatten() is net
    assert net.astype(np.float64) is net


def layer(seed=0):
    """A convolution with its batch norm, and a loss of theirs."""
    conv, bn = nn.Conv2d(3, 4, 3, padding=1, rng=seed), nn.BatchNorm2d(4)
    net = nn.Sequential(conv, bn)
    Flat(list(net.parameters()))
    return net


def test_gradients_are_computed_in_their_slots(rng, monkeypatch):
    written = []

    def launch(op, *arrays, out=None, **params):
        written.extend(a for a in (out if isinstance(out, tuple) else (out,)) if a is not None)
        return original(op, *arrays, out=out, **params)

    monkeypatch.setattr("tinyres.function.launch", launch)
    net = layer()
    net(rng.standard_normal((2, 5, 6, 3)).astype(np.float32)).backward(
        rng.standard_normal((2, 5, 6, 4)).astype(np.float32)
    )
    assert {id(a) for a in written} == {id(p.slot) for p in net.parameters()}
    assert all(p.grad.data is p.slot for p in net.parameters())


def test_a_weight_that_is_used_twice_gets_the_sum(rng):
    """Only one of the two may write to the slot; the sum is stored there afterwards."""
    x, y = (rng.standard_normal((2, 5, 6, 3)).astype(np.float32) for _ in range(2))
    a, b = (rng.standard_normal((2, 5, 6, 4)).astype(np.float32) for _ in range(2))
    net = layer()
    both = net(x) * a + net(y) * b
    both.sum().backward()
    together = [p.grad.numpy().copy() for p in net.parameters()]
    for p in net.parameters():
        p.grad = None
    (net(x) * a).sum().backward()
    (net(y) * b).sum().backward()  # adds to what is there
    for p, whole in zip(net.parameters(), together, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("by", ["hook", "listener"])
def test_gradients_that_somebody_keeps_are_not_written_over(rng, by):
    net, kept = layer(), []
    weight, *_ = net.parameters()
    if by == "hook":
        weight.register_hook(kept.append)
    for _ in range(2):
        weight.grad = None
        x, dy = (rng.standard_normal((2, 5, 6, c)).astype(np.float32) for c in (3, 4))
        ear = listening(lambda _, edge, g: kept.append(g) if edge is weight else None)
        with ear if by == "listener" else nullcontext():
            net(x).backward(dy)
        np.testing.assert_array_equal(kept[-1].numpy(), weight.grad.numpy())
    assert not np.array_equal(kept[0].numpy(), kept[1].numpy())


def test_a_graph_of_gradients_never_lies_in_a_slot(rng):
    net = layer().astype("float64")
    x = Tensor(rng.standard_normal((2, 5, 6, 3)), requires_grad=True)
    parameters = list(net.parameters())
    with tinyres.use(conv="numpy"):
        found = tinyres.grad((net(x) * net(x)).sum(), parameters, create_graph=True)
    assert all(g.data is not p.slot for g, p in zip(found, parameters, strict=True))
