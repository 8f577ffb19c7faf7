"""Tensor: what it holds, what its operators do, and what it says when it cannot."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, ops
from tinyres.errors import DtypeError, GradientError, ShapeError


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
def test_an_array_is_kept_not_copied(dtype):
    array = np.ones((2, 3), dtype)
    tensor = Tensor(array)
    assert tensor.data is array
    assert tensor.numpy() is array
    assert (tensor.shape, tensor.ndim, tensor.size, tensor.dtype, tensor.device) == ((2, 3), 2, 6, dtype, "cpu")
    assert tensor.grad is None
    assert not tensor.requires_grad


def test_python_numbers_become_float32_and_numpy_scalars_stay():
    assert Tensor([1.0, 2.0]).dtype == np.float32
    assert Tensor(0.5).dtype == np.float32
    assert Tensor([1, 2]).dtype == np.int64
    assert Tensor(np.float64(0.5)).dtype == np.float64
    assert Tensor(Tensor([1.0])).data.dtype == np.float32


@pytest.mark.parametrize("wrong", ["text", [1 + 2j], [None]])
def test_only_numbers(wrong):
    with pytest.raises(DtypeError, match="a Tensor holds numbers, not "):
        Tensor(wrong)


def test_only_floats_require_gradients():
    with pytest.raises(DtypeError, match=r"this one is int64; use .astype\('float32'\)"):
        Tensor([1, 2], requires_grad=True)


def test_item():
    assert Tensor([[2.5]]).item() == 2.5
    with pytest.raises(ShapeError, match=r"item: a tensor of shape \[2\] has 2 values, not one"):
        Tensor([1.0, 2.0]).item()


def test_length_and_iteration():
    tensor = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    assert len(tensor) == 3
    rows = list(tensor)
    assert [row.numpy().tolist() for row in rows] == [[0, 1], [2, 3], [4, 5]]
    (rows[1] * rows[2]).sum().backward()
    assert tensor.grad.numpy().tolist() == [[0, 0], [4, 5], [2, 3]]
    with pytest.raises(TypeError, match=r"no length; its value is .item\(\)"):
        len(Tensor(1.0))
    with pytest.raises(TypeError):
        iter(Tensor(1.0)).__next__()


def test_numpy_takes_a_tensor_as_its_array():
    tensor = Tensor(np.arange(3.0))
    assert np.asarray(tensor) is tensor.data
    assert np.asarray(tensor, np.float32).dtype == np.float32
    copied = np.array(tensor)
    copied[0] = 9
    assert tensor.data[0] == 0


def test_repr_tells_values_type_and_origin():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1. 2.], float32, requires_grad=True)"
    assert repr(x * 2.0) == "Tensor([2. 4.], float32, made by mul)"
    assert repr(Tensor(np.int64(3))) == "Tensor(3, int64)"


def test_detach_cuts_the_graph_and_shares_the_array():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 3.0
    cut = y.detach()
    assert cut.data is y.data
    assert not cut.requires_grad
    (cut * x).sum().backward()
    assert x.grad.numpy().tolist() == [3, 6]


def test_only_leaves_are_copied():
    x = Tensor([1.0, 2.0], requires_grad=True)
    twin = copy.copy(x)
    assert twin.data is x.data
    (x * twin).sum().backward()
    assert x.grad is not twin.grad
    with pytest.raises(GradientError, match=r"only leaves can be copied, this tensor is made by mul; use .detach\(\)"):
        copy.deepcopy(x * 2.0)


OPERATORS = {
    "x + y": (lambda x, y: x + y, lambda a, b: a + b),
    "x - y": (lambda x, y: x - y, lambda a, b: a - b),
    "x * y": (lambda x, y: x * y, lambda a, b: a * b),
    "x / y": (lambda x, y: x / y, lambda a, b: a / b),
    "x ** y": (lambda x, y: x**y, lambda a, b: a**b),
    "x @ y.T": (lambda x, y: x @ y.T, lambda a, b: a @ b.T),
    "-x": (lambda x, y: -x, lambda a, b: -a),
    "x[1:, ::2]": (lambda x, y: x[1:, ::2], lambda a, b: a[1:, ::2]),
    "2 + x": (lambda x, y: 2 + x, lambda a, b: 2 + a),
    "2 - x": (lambda x, y: 2 - x, lambda a, b: 2 - a),
    "2 * x": (lambda x, y: 2 * x, lambda a, b: 2 * a),
    "2 / x": (lambda x, y: 2 / x, lambda a, b: 2 / a),
    "2 ** x": (lambda x, y: 2**x, lambda a, b: 2**a),
    "x - 0.5": (lambda x, y: x - 0.5, lambda a, b: a - 0.5),
    "reshape": (lambda x, y: x.reshape(3, -1), lambda a, b: a.reshape(3, -1)),
    "reshape of a tuple": (lambda x, y: x.reshape((1, 6)), lambda a, b: a.reshape(1, 6)),
    "transpose": (lambda x, y: x.transpose(1, 0), lambda a, b: a.T),
    "transpose of a list": (lambda x, y: x.transpose([-1, 0]), lambda a, b: a.T),
    "sum": (lambda x, y: x.sum(1, keepdims=True), lambda a, b: a.sum(1, keepdims=True)),
    "mean": (lambda x, y: x.mean(), lambda a, b: a.mean()),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operators(name, dtype, rng):
    ours, reference = OPERATORS[name]
    a, b = (rng.uniform(0.5, 2, (2, 3)).astype(dtype) for _ in range(2))
    result = ours(Tensor(a), Tensor(b))
    assert isinstance(result, Tensor)
    assert result.dtype == dtype
    np.testing.assert_allclose(result.numpy(), reference(a, b), rtol=1e-6)


def test_arrays_on_either_side(rng):
    a, b = (rng.standard_normal((2, 3)) for _ in range(2))
    for result in (a + Tensor(b), Tensor(a) + b, np.add(a, b) + Tensor(np.zeros(3))):
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result.numpy(), a + b)
    np.testing.assert_array_equal((a.T @ Tensor(b)).numpy(), a.T @ b)


def test_types_are_never_mixed():
    x = Tensor(np.ones(3, np.float32))
    for wrong in (np.float64(2), np.ones(3), Tensor(np.ones(3))):
        with pytest.raises(DtypeError, match="mul: a is float32 and b is float64; convert one, types are never mixed"):
            x * wrong
    with pytest.raises(DtypeError, match=r"add: b is int64; floating arrays are wanted, convert with .astype"):
        x + np.arange(3)


def test_operators_leave_their_inputs_alone(rng):
    a = rng.uniform(0.5, 2, (3, 3))
    before = a.copy()
    x = Tensor(a, requires_grad=True)
    ((2 - x) * x / (x**2) @ x).sum().backward()
    np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize(
    ("cotangent", "message"),
    [
        (None, r"backward from shape \[2, 3\] needs a cotangent of that shape; pass grad="),
        (np.ones((3, 2)), r"the cotangent is float64 \[3, 2\], the tensor float64 \[2, 3\]; make them equal"),
        (np.ones((2, 3), np.float32), r"the cotangent is float32 \[2, 3\], the tensor float64 \[2, 3\]"),
        (np.ones((2, 3), int), r"the cotangent is int64 \[2, 3\], the tensor float64 \[2, 3\]"),
        (1.0, r"the cotangent is float64 \[\], the tensor float64 \[2, 3\]"),
    ],
)
def test_cotangents_that_do_not_fit(cotangent, message):
    y = Tensor(np.ones((2, 3)), requires_grad=True) * 2.0
    with pytest.raises(ShapeError, match=message):
        y.backward(cotangent)


def test_a_number_is_the_cotangent_of_one_value():
    for dtype in (np.float32, np.float64):
        x = Tensor(np.ones(3, dtype), requires_grad=True)
        x.sum().backward(2)
        assert x.grad.numpy().tolist() == [2, 2, 2]
        assert x.grad.dtype == dtype


def test_backward_of_what_needs_no_gradient():
    for tensor in (Tensor([1.0]), Tensor([1.0]) * 2.0, ops.sum(np.ones(3))):
        with pytest.raises(GradientError, match="does not depend on any that requires a gradient; make one with"):
            tensor.backward()
        with pytest.raises(GradientError, match="a hook on it would never be called"):
            tensor.register_hook(print)


def test_requires_grad_set_after_construction():
    x = Tensor([1.0, 2.0])
    before = x * x
    x.requires_grad = True
    assert not before.requires_grad
    (x * x * x).sum().backward()
    assert x.grad.numpy().tolist() == [3, 12]
    x.requires_grad = False
    assert not (x * x).requires_grad


def test_the_front_door():
    assert {"Tensor", "grad", "gradcheck", "no_grad", "use", "ops", "nn", "models", "optim"} <= set(tinyres.__all__)
    assert all(hasattr(tinyres, name) for name in tinyres.__all__)
