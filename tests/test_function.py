"""Functions of one's own, hooks, the kernels that a node remembers, and work that is not done."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, gradcheck, ops
from tinyres.errors import DtypeError, GradientError, ShapeError
from tinyres.function import Function, apply, apply_all


def leaf(*values):
    return Tensor(np.array(values, np.float64), requires_grad=True)


def values(tensor):
    return tensor.numpy().tolist()


class Cube(Function):
    keeps = ("x",)

    def forward(self, x):
        return x**3

    def backward(self, dy):
        return dy * self.x * self.x * 3.0


class SinCos(Function):
    """Two results of one input."""

    keeps = ("x",)

    def forward(self, x):
        return np.sin(x), np.cos(x)

    def backward(self, dsin, dcos):
        s, c = apply_all(SinCos(), self.x)
        total = None
        for part in (None if dsin is None else dsin * c, None if dcos is None else -dcos * s):
            total = part if total is None else total if part is None else total + part
        return total


def test_a_function_of_ones_own():
    x = leaf(2.0, -1.0)
    y = apply(Cube(), x)
    assert y.node.name == "Cube"
    y.sum().backward()
    assert values(x.grad) == [12.0, 3.0]
    assert gradcheck(lambda t: apply(Cube(), t), [np.array([2.0, -1.0])], order=3) < 1e-6


def test_two_results():
    def both(x):
        return apply_all(SinCos(), x)

    assert gradcheck(both, [np.array([0.3, 2.0])], order=2) < 1e-6
    x = leaf(0.3)
    sine, cosine = both(x)
    (sine * sine + cosine * cosine).sum().backward()
    assert abs(x.grad.item()) < 1e-15
    for index in (0, 1):  # one result unused: its cotangent is None
        assert gradcheck(lambda t, i=index: apply_all(SinCos(), t)[i], [np.array([0.3, 2.0])], order=2) < 1e-6


def test_the_kept_result_is_part_of_the_graph():
    class Square(Function):
        keeps = ("x", "y")

        def forward(self, x):
            return x * x

        def backward(self, dy):
            return dy * self.y / self.x * 2.0  # 2 y / x = 2 x

    assert gradcheck(lambda t: apply(Square(), t), [np.array([2.0, -1.0])], order=2) < 1e-6


def returning(gradient, inputs=1):
    class Wrong(Function):
        def forward(self, *arrays):
            return arrays[0] * 2

        def backward(self, dy):
            return gradient(dy)

    return apply(Wrong(), *(leaf(1.0, 2.0) for _ in range(inputs))).sum()


@pytest.mark.parametrize(
    ("gradient", "inputs", "error", "message"),
    [
        (lambda dy: dy.sum(), 1, ShapeError, r"for input 0 a gradient of shape \[\]; \[2\] is wanted"),
        (lambda dy: (dy, dy[0:1]), 2, ShapeError, r"for input 1 a gradient of shape \[1\]; \[2\] is wanted"),
        (lambda dy: (dy, dy), 1, GradientError, "returned 2 gradients for 1 inputs"),
        (lambda dy: dy, 2, GradientError, "returned 1 gradients for 2 inputs"),
        (lambda dy: Tensor(np.ones(2, np.float32)), 1, DtypeError, "a gradient of float32; float64 is wanted"),
        (lambda dy: dy.numpy(), 1, GradientError, "for input 0 a ndarray; a Tensor is wanted, made by ops"),
    ],
)
def test_gradients_that_do_not_fit(gradient, inputs, error, message):
    with pytest.raises(error, match=r"Wrong.backward returned .*" + message.removeprefix("returned ")):
        returning(gradient, inputs).backward()


def test_none_stands_for_no_gradient():
    class First(Function):
        def forward(self, a, b):
            return a + 0 * b

        def backward(self, dy):
            return dy, None

    a, b = leaf(1.0), leaf(2.0)
    apply(First(), a, b).sum().backward()
    assert values(a.grad) == [1.0]
    assert b.grad is None


def test_what_a_function_must_not_do():
    class Unfinished(Function):
        def forward(self, x):
            return x

    class Typo(Function):
        keeps = ("inputs",)

        def forward(self, x):
            return x

    x = leaf(1.0)
    with pytest.raises(GradientError, match="Unfinished has no derivative"):
        apply(Unfinished(), x).backward()
    with pytest.raises(GradientError, match="Function has no forward; write one"):
        apply(Function(), x)
    with pytest.raises(GradientError, match=r"Typo keeps 'inputs', which is neither an argument .* \(x\) nor 'y'"):
        apply(Typo(), x)
    once = Cube()
    apply(once, x)
    with pytest.raises(GradientError, match="Cube: this Function was applied before; make a new one"):
        apply(once, x)
    with pytest.raises(AttributeError, match="Cube has no attribute 'nothing'"):
        _ = once.nothing


# ---- hooks ---------------------------------------------------------------------------------------------------------
def test_hooks_see_the_whole_gradient_once():
    x = leaf(2.0)
    hidden = x * 3.0
    seen = []
    hidden.register_hook(lambda g: seen.append(("hidden", g.item())))
    x.register_hook(lambda g: seen.append(("x", g.item())))
    (hidden * hidden + hidden).sum().backward()
    assert seen == [("hidden", 13.0), ("x", 39.0)]


def test_a_hook_replaces_what_goes_on():
    x = leaf(2.0)
    hidden = x * 3.0
    hidden.register_hook(lambda g: g * 10.0)
    hidden.register_hook(lambda g: g + 1.0)  # after the first
    x.register_hook(lambda g: -g)
    (hidden * 2.0).sum().backward()
    assert values(x.grad) == [-63.0]
    assert values(tinyres.grad((x * 2.0).sum(), x)) == [-2.0]


def test_a_hook_is_removed():
    x = leaf(2.0)
    hidden = x * 3.0
    for tensor in (x, hidden):
        remove = tensor.register_hook(lambda g: g * 100.0)
        remove()
        remove()
    hidden.sum().backward()
    assert values(x.grad) == [3.0]


def test_a_hook_that_removes_itself_leaves_the_others():
    x, seen = leaf(2.0), []
    remove = x.register_hook(lambda g: seen.append("first") or remove())
    x.register_hook(lambda g: seen.append("second"))
    for _ in range(2):
        (x * 1.0).sum().backward()
    assert seen == ["first", "second", "second"]


@pytest.mark.parametrize(
    ("replacement", "error", "message"),
    [
        (lambda g: g.sum(), ShapeError, r"a hook returned a gradient of shape \[\]; \[2\] is wanted"),
        (lambda g: g.numpy(), GradientError, "a hook returned a ndarray; a Tensor is wanted"),
        (lambda g: Tensor(np.ones(2, np.float32)), DtypeError, "a hook returned a gradient of float32"),
    ],
)
@pytest.mark.parametrize("on_leaf", [True, False])
def test_replacements_that_do_not_fit(replacement, error, message, on_leaf):
    x = leaf(1.0, 2.0)
    y = x * 2.0
    (x if on_leaf else y).register_hook(replacement)
    with pytest.raises(error, match=message):
        y.sum().backward()


def test_a_hook_in_a_recorded_pass_is_differentiated():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    slope = tinyres.grad(y.sum(), x, create_graph=True)  # 2 x * x
    assert values(tinyres.grad(slope.sum(), x)) == [12.0]


# ---- the kernels that a node remembers -----------------------------------------------------------------------------
def test_backward_runs_on_the_kernels_of_the_forward(own_kernels, launched):
    for op in ("conv2d", "conv2d_input", "conv2d_weight"):
        own_kernels.kernel(op, "mine")(own_kernels.find(op, "naive").function)
    x = Tensor(np.ones((1, 4, 4, 2), np.float32), requires_grad=True)
    w = Tensor(np.ones((3, 3, 2, 3), np.float32), requires_grad=True)
    with tinyres.use(conv="mine"):
        y = ops.conv2d(x, w)
    other = ops.conv2d(x, w)
    with tinyres.use(conv="naive"):
        (y + other).sum().backward()
    kernels = Counter((op, name) for op, name in launched if op.startswith("conv2d"))
    usual = own_kernels.resolve("conv2d_input", "float32", "cpu").name
    assert usual not in ("mine", "naive")
    assert kernels["conv2d_input", "mine"] == kernels["conv2d_weight", "mine"] == 1
    assert not any(name == "naive" for _, name in kernels)
    assert kernels["conv2d_input", usual] == 1


def test_a_second_derivative_remembers_them_too(launched):
    x = Tensor(np.array([[0.5, -0.5]]), requires_grad=True)
    with tinyres.use(matmul="naive"):
        y = x @ x.T
    slope = tinyres.grad(y.sum(), x, create_graph=True)
    tinyres.grad(slope.sum(), x)
    assert {name for op, name in launched if op == "matmul"} == {"naive"}
    assert sum(op == "matmul" for op, _ in launched) > 3


# ---- work that is not done -----------------------------------------------------------------------------------------
def counted(launched, start):
    return Counter(op for op, _ in launched[start:])


def test_the_image_and_frozen_weights_cost_no_gradient(launched, rng):
    images = rng.standard_normal((2, 6, 6, 3)).astype(np.float32)
    first, second = (Tensor(rng.standard_normal(s).astype(np.float32), True) for s in ((3, 3, 3, 4), (3, 3, 4, 2)))

    def backward():
        loss = ops.conv2d(ops.conv2d(images, first), second).sum()
        start = len(launched)
        loss.backward()
        return counted(launched, start)

    calls = backward()
    assert (calls["conv2d_input"], calls["conv2d_weight"]) == (1, 2)
    second.requires_grad = False
    calls = backward()
    assert (calls["conv2d_input"], calls["conv2d_weight"]) == (1, 1)
    first.requires_grad, second.requires_grad = False, True
    calls = backward()
    assert (calls["conv2d_input"], calls["conv2d_weight"]) == (0, 1)


def test_grad_goes_only_where_it_was_asked(launched, rng):
    x = Tensor(rng.standard_normal((2, 5, 5, 2)), True)
    w = Tensor(rng.standard_normal((3, 3, 2, 2)), True)
    y = ops.conv2d(x, w).sum()
    start = len(launched)
    tinyres.grad(y, w, retain_graph=True)
    assert counted(launched, start)["conv2d_input"] == 0
    start = len(launched)
    tinyres.grad(y, x)
    assert counted(launched, start)["conv2d_weight"] == 0


@pytest.mark.parametrize("training", [True, False])
def test_frozen_layers_of_a_net(training, launched, rng):
    """Fine-tuning the last layer: one matrix product, and nothing of the rest goes backward."""
    model = tinyres.models.create("resnet8").train(training)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("fc.")
    logits = model(Tensor(rng.standard_normal((2, 8, 8, 3)).astype(np.float32)))
    loss = ops.softmax_cross_entropy(logits, [0, 1])
    start = len(launched)
    loss.backward()
    calls = counted(launched, start)
    assert set(calls) == {"softmax_cross_entropy_gradient", "matmul", "transpose", "sum"}
    assert calls["matmul"] == 1
    assert model.fc.weight.grad is not None
    assert model.conv1.weight.grad is None
