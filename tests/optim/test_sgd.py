"""SGD against the formula, worked out parameter by parameter in float64."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, models, nn, ops, optim
from tinyres.errors import CheckpointError, ConfigError, DtypeError, ShapeError
from tinyres.nn.module import Parameter


def parameters(rng, *shapes):
    return [Parameter(rng.standard_normal(shape)) for shape in shapes]


class Reference:
    """v = m v + g + wd w;  w -= lr v, or lr (g + wd w + m v) after Nesterov; nothing where there is no gradient."""

    def __init__(self, weights, lr, momentum, weight_decay, nesterov):
        self.w = [w.copy() for w in weights]
        self.v = [np.zeros_like(w) for w in weights]
        self.lr, self.m, self.wd, self.nesterov = lr, momentum, weight_decay, nesterov

    def step(self, gradients):
        for w, v, g in zip(self.w, self.v, gradients, strict=True):
            if g is not None:
                g = g + self.wd * w
                v[...] = self.m * v + g
                w -= self.lr * (g + self.m * v if self.nesterov else v)


def same(ps, reference):
    for p, w in zip(ps, reference.w, strict=True):
        np.testing.assert_allclose(p.data, w, rtol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("weight_decay", [0, 0.01])
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_steps_by_the_formula(momentum, weight_decay, nesterov, rng):
    ps = parameters(rng, (2, 3), (4,), ())
    settings = {"lr": 0.1, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    reference, optimizer = Reference([p.data for p in ps], **settings), optim.SGD(ps, **settings)
    for _ in range(4):
        gradients = [rng.standard_normal(p.shape) for p in ps]
        optimizer.zero_grad()
        for p, g in zip(ps, gradients, strict=True):
            (p * Tensor(np.asarray(g))).sum().backward()
        optimizer.step()
        reference.step(gradients)
        same(ps, reference)


def test_two_steps_by_hand():
    (p,) = parameters(np.random.default_rng(0), (1,))
    p.data[...] = 1.0
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, weight_decay=0.2)
    for expected in (1 - 0.1 * 1.2, 0.88 - 0.1 * (0.5 * 1.2 + 1 + 0.2 * 0.88)):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        assert p.data[0] == pytest.approx(expected)


def test_after_a_change_of_rate_the_velocity_is_used_with_the_new_one(rng):
    """PyTorch's form; in Caffe's the rate stands inside the velocity and the old one lingers."""
    ps = parameters(rng, (3,))
    reference = Reference([ps[0].data], 0.1, 0.9, 0.01, False)
    optimizer = optim.SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01)
    for lr in (0.1, 0.1, 0.01, 0.0, 0.5):
        optimizer.lr = reference.lr = lr
        g = rng.standard_normal(3)
        ps[0].grad = Tensor(g)
        optimizer.step()
        reference.step([g])
        same(ps, reference)


def test_a_frozen_parameter_in_the_middle_stays_and_keeps_its_velocity(rng):
    ps = parameters(rng, (2,), (3, 2), (2,), (5,))
    reference, optimizer = Reference([p.data for p in ps], 0.1, 0.9, 0.01, False), optim.SGD(ps, 0.1, weight_decay=0.01)
    for frozen in ((), (1,), (1, 2), (0,), (), (0, 1, 2, 3)):
        optimizer.zero_grad()
        gradients = []
        for i, p in enumerate(ps):
            p.requires_grad = i not in frozen
            gradients.append(None if i in frozen else rng.standard_normal(p.shape))
            if i not in frozen:
                (p * Tensor(gradients[-1])).sum().backward()
        optimizer.step()
        reference.step(gradients)
        same(ps, reference)


def test_some_parameters_of_a_net(rng):
    """Two optimizers over one flat buffer, one of them without weight decay, as for batch norm."""
    model = models.create("resnet8", num_classes=3).astype(np.float64)
    vectors = [p for p in model.parameters() if p.ndim == 1]
    matrices = [p for p in model.parameters() if p.ndim > 1]
    before = model.state_dict()
    optimizers = [optim.SGD(matrices, 0.1, weight_decay=0.5), optim.SGD(vectors, 0.1, weight_decay=0)]
    references = [Reference([p.data for p in ps], 0.1, 0.9, wd, False) for ps, wd in ((matrices, 0.5), (vectors, 0))]
    for _ in range(2):
        for optimizer in optimizers:
            optimizer.zero_grad()
        ops.softmax_cross_entropy(model(rng.standard_normal((3, 8, 8, 3))), [0, 1, 2]).backward()
        for optimizer, reference, ps in zip(optimizers, references, (matrices, vectors), strict=True):
            gradients = [p.grad.numpy().copy() for p in ps]
            optimizer.step()
            reference.step(gradients)
            same(ps, reference)
    assert all((array != before[name]).any() for name, array in model.state_dict().items())


def test_one_kernel_call_for_a_whole_net(launched, rng):
    model = models.create("resnet20")
    optimizer = optim.SGD(model.parameters(), 0.1)
    ops.softmax_cross_entropy(model(rng.standard_normal((2, 8, 8, 3)).astype(np.float32)), [0, 1]).backward()
    start = len(launched)
    optimizer.step()
    assert [op for op, _ in launched[start:]] == ["sgd"]


def test_gradients_set_by_hand(rng):
    ps = parameters(rng, (2, 2), (3,))
    optimizer = optim.SGD(ps, lr=1.0, momentum=0, weight_decay=0)
    before = ps[0].data.copy()
    ps[0].grad = Tensor(np.ones((2, 2)))
    optimizer.step()
    np.testing.assert_allclose(ps[0].data, before - 1)
    (ps[0] * 1.0).sum().backward()  # and added to afterwards
    optimizer.step()
    np.testing.assert_allclose(ps[0].data, before - 3)
    ps[0].grad.data *= 0.5  # scaled in place, as clipping does
    optimizer.step()
    np.testing.assert_allclose(ps[0].data, before - 4)
    ps[1].grad = Tensor(np.ones(()))
    with pytest.raises(ShapeError, match=r"SGD: a gradient has shape \[\] and its parameter \[3\]; they must be the"):
        optimizer.step()


def test_weights_set_by_hand_are_trained_on(rng):
    """`p.data = array` takes the weights out of the flat buffer; they must not stay behind."""
    ps = parameters(rng, (2,), (3,))
    optimizer = optim.SGD(ps, lr=1.0, momentum=0.5, weight_decay=0)
    for step, weights in ((1.0, None), (1.5, np.array([10.0, 20.0])), (1.75, None)):
        if weights is not None:
            ps[0].data = weights
        before = [p.data.copy() for p in ps]
        optimizer.zero_grad()
        ops.concat([ps[0], ps[1]]).sum().backward()
        optimizer.step()
        for p, w in zip(ps, before, strict=True):
            np.testing.assert_allclose(p.data, w - step)


def test_loose_parameters_get_a_buffer(rng):
    net = nn.Linear(3, 2)
    assert not net.weight.is_flat()
    optim.SGD(net.parameters(), 0.1)
    assert net.weight.flat is net.bias.flat
    with pytest.raises(DtypeError, match="parameters of float32 and float64 cannot share a buffer; use astype"):
        optim.SGD([*nn.Linear(2, 2).parameters(), *parameters(rng, (2,))], 0.1)


def test_zero_grad_forgets(rng):
    ps = parameters(rng, (2,))
    optimizer = optim.SGD(ps, 0.1, weight_decay=0.5)
    ps[0].sum().backward()
    optimizer.step()
    before = ps[0].data.copy()
    optimizer.zero_grad()
    assert ps[0].grad is None
    optimizer.step()  # no gradient: no decay and no momentum either
    np.testing.assert_array_equal(ps[0].data, before)


def test_a_saved_state_goes_on_as_if_nothing_had_happened(rng):
    ps, others = parameters(np.random.default_rng(1), (2, 3), (4,)), parameters(np.random.default_rng(1), (2, 3), (4,))
    optimizer = optim.SGD(ps, 0.1)

    def step(optimizer, seed):
        noise = np.random.default_rng(seed)
        for p in optimizer.parameters:
            p.grad = Tensor(noise.standard_normal(p.shape))
        optimizer.step()

    for seed in (1, 2):
        step(optimizer, seed)
    state = optimizer.state_dict()
    assert {name: array.shape for name, array in state.items()} == {"velocity": (10,)}
    other = optim.SGD(others, 0.1)
    for p, q in zip(ps, others, strict=True):
        q.data[...] = p.data
    other.load_state_dict(state)
    saved = state["velocity"].copy()
    step(optimizer, 3)
    np.testing.assert_array_equal(state["velocity"], saved)  # what was saved stays
    step(other, 3)
    np.testing.assert_array_equal(optimizer.state_dict()["velocity"], other.state_dict()["velocity"])
    for p, q in zip(ps, others, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    np.testing.assert_array_equal(state["velocity"], saved)  # a copy on both sides


def test_a_state_of_other_parameters(rng):
    optimizer = optim.SGD(parameters(rng, (2, 3)), 0.1)
    with pytest.raises(CheckpointError, match="the saved velocity has 7 values and these parameters 6; build the net"):
        optimizer.load_state_dict({"velocity": np.zeros(7)})


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_settings_that_make_no_sense(name, value, rng):
    with pytest.raises(ConfigError, match=f"SGD: {name} is {value}; 0 or more is wanted"):
        optim.SGD(parameters(rng, (2,)), **{"lr": 0.1, name: value})


def test_nothing_to_train():
    with pytest.raises(ConfigError, match=r"SGD was given no parameters; pass model.parameters\(\)"):
        optim.SGD(nn.ReLU().parameters(), 0.1)


def test_parameters_may_come_from_a_generator(rng):
    ps = parameters(rng, (2,), (3,))
    assert optim.SGD((p for p in ps), 0.1).parameters == ps
