"""Shapes, sums and matrix products: edge cases, and what they say to shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, grad, ops
from tinyres.errors import ShapeError


def test_repeated_indices_add_up():
    x = Tensor(np.arange(3.0), True)
    assert grad(x[np.array([1, 1, 1, 0])].sum(), x).numpy().tolist() == [1, 3, 0]
    table = Tensor(np.arange(6.0).reshape(3, 2), True)
    rows, columns = np.array([[0, 2], [0, 0]]), np.array([1, 0])
    weights = np.array([[1.0, 10], [100, 1000]])
    g = grad(table[rows, columns], table, weights).numpy()
    assert g.tolist() == [[1000, 101], [0, 0], [10, 0]]
    assert grad(table[Tensor(np.array([2, 2]))].sum(), table).numpy().tolist() == [[0, 0], [0, 0], [2, 2]]


INDICES = [0, -1, slice(1, None), slice(None, None, -2), None, ..., (..., 0), (slice(None), 2), (0, slice(0, 0))]
INDICES += [[0, 1, 1], np.array([[0, 1], [1, 1]]), np.array([True, False]), (np.array([1, 0]), [2, 2]), np.int64(1)]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_indices_as_numpy_has_them(index, rng):
    a = rng.standard_normal((2, 3, 2))
    x = Tensor(a, True)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), a[index])
    weights = np.asarray(rng.standard_normal(y.shape))
    expected = np.zeros_like(a)
    np.add.at(expected, index, weights)
    np.testing.assert_allclose(grad(y, x, weights).numpy(), expected)


def test_a_full_index_is_an_array_still():
    y = Tensor(np.ones((2, 2)), True)[0, 1]
    assert isinstance(y.data, np.ndarray)
    assert y.shape == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Tensor(np.ones((2, 3)))[2], r"getitem: index 2 does not fit shape \[2, 3\]: index 2 is out of bounds"),
        (lambda: Tensor(np.ones(2))[0, 0], r"getitem: index \(0, 0\) does not fit shape \[2\]: too many indices"),
        (lambda: ops.reshape(np.ones((2, 3)), (4, 2)), r"reshape: \[2, 3\] holds 6 values and \[4, 2\] does not"),
        (
            lambda: ops.reshape(np.ones(6), (4, -1)),
            r"reshape: \[6\] holds 6 values, which do not divide into \[4, -1\]",
        ),
        (lambda: ops.reshape(np.ones(6), (-2, -3)), r"reshape: \[6\] holds 6 values and \[-2, -3\] does not"),
        (lambda: ops.reshape(np.ones(1), (-1, -1)), r"reshape: \[1\] holds 1 values and \[-1, -1\] does not"),
        (lambda: ops.transpose(np.ones((2, 3)), (0, 0)), r"transpose: axes \(0, 0\) do not name each of the 2"),
        (lambda: ops.transpose(np.ones((2, 3)), (0, 5)), r"transpose: axes \(0, 5\) do not name each of the 2"),
        (lambda: ops.concat([]), "concat: there is no tensor to join"),
        (lambda: ops.concat([np.ones((2, 3)), np.ones((2, 4))]), r"\[\[2, 3\], \[2, 4\]\] differ in more than axis 0"),
        (lambda: ops.concat([np.ones(2), np.ones((2, 1))]), r"concat: shapes \[\[2\], \[2, 1\]\] differ"),
        (lambda: ops.concat([np.ones(2)], 1), "concat: axis 1 does not fit an array of 1 dimensions"),
        (lambda: ops.sum(np.ones((2, 3)), 2), "sum: axis 2 does not fit an array of 2 dimensions"),
        (lambda: ops.mean(np.ones((2, 3)), (0, -2)), r"mean: axis \(0, -2\) does not fit an array of 2 dimensions"),
        (lambda: ops.broadcast_to(np.ones(3), (2, 2)), r"broadcast_to: shape \[3\] does not broadcast to \[2, 2\]"),
        (lambda: ops.broadcast_to(np.ones((2, 3)), (3,)), r"broadcast_to: shape \[2, 3\] does not broadcast to \[3\]"),
        (lambda: ops.add(np.ones(3), np.ones(2)), r"add: shapes \[3\] and \[2\] do not broadcast to one"),
        (lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))), r"matmul: \[2, 3\] @ \[2, 3\]: \[..., M, K\] @"),
        (lambda: ops.matmul(np.ones((2, 3)), np.ones(3)), r"matmul: \[2, 3\] @ \[3\]: \[..., M, K\] @"),
        (lambda: ops.matmul(np.ones((2, 3, 4)), np.ones((3, 4, 5))), r"\[2, 3, 4\] @ \[3, 4, 5\]: the axes before"),
        (lambda: ops.linear(np.ones((2, 3)), np.ones((4, 5)), np.ones(5)), r"x \[2, 3\] has 3 features and w \[4, 5\]"),
        (lambda: ops.linear(np.ones((2, 3)), np.ones((3, 5)), np.ones(3)), r"b has shape \[3\]; \[5\] is wanted"),
        (lambda: ops.linear(np.ones(3), np.ones((3, 5)), np.ones(5)), r"x has shape \[3\]; 2 dimensions \[N, C\] are"),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


def test_axes_and_lengths_may_be_numpy_integers():
    x = np.ones((2, 3))
    assert ops.sum(x, np.int64(1)).shape == (2,)
    assert ops.mean(x, (np.int32(0), -1)).shape == ()
    assert ops.reshape(x, np.int64(6)).shape == ops.reshape(x, 6).shape == ops.reshape(x, -1).shape == (6,)
    assert ops.reshape(x, (np.int64(3), -1)).shape == (3, 2)
    assert ops.concat([x, x], np.int64(1)).shape == (2, 6)


def test_reshape_and_broadcast_that_change_nothing_make_no_node():
    x = Tensor(np.ones((2, 3)), True)
    assert ops.reshape(x, (2, -1)) is x
    assert ops.broadcast_to(x, (2, 3)) is x


def test_empty_arrays_pass(rng):
    x = Tensor(np.ones((0, 3)), True)
    assert ops.sum(x, 0).numpy().tolist() == [0, 0, 0]
    y = ops.concat([x, np.ones((2, 3))])
    assert y.shape == (2, 3)
    assert grad(y.sum(), x).shape == (0, 3)
    assert ops.matmul(x, np.ones((3, 2))).shape == (0, 2)
    assert (ops.matmul(np.ones((2, 0)), np.ones((0, 4))).numpy() == 0).all()


def test_sums_in_float32_are_not_sums_one_by_one():
    x = np.full(2**20, 0.1, np.float32)
    assert ops.sum(x).item() == pytest.approx(float(np.float32(0.1)) * 2**20, rel=1e-6)
    assert ops.mean(x).item() == pytest.approx(0.1, rel=1e-6)
