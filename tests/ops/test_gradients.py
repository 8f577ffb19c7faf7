"""Every public op against finite differences, first and second order, on shapes whose dimensions all differ."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from tinyres import Tensor, gradcheck, ops, use

BACKENDS = ["default", "naive"]


def chosen(backend):
    return use() if backend == "default" else use(all=backend)


def positive(*shapes):
    return lambda rng: [rng.uniform(0.5, 2.0, shape) for shape in shapes]


def normal(*shapes):
    return lambda rng: [np.asarray(rng.standard_normal(shape)) for shape in shapes]


def away_from_zero(*shapes):
    """For kinks at 0: no value within the step of the differences."""
    return lambda rng: [rng.choice([-1.0, 1.0], shape) * rng.uniform(0.1, 2.0, shape) for shape in shapes]


def distinct(*shapes):
    """For maxima: no two values within the step of the differences."""
    return lambda rng: [rng.permutation(int(np.prod(shape))).reshape(shape) / 8.0 for shape in shapes]


# op -> (function of Tensors, maker of its arrays); several entries of one op carry a remark after a colon
CASES = {
    "add": (ops.add, normal((2, 3, 4), (3, 1))),
    "sub": (ops.sub, normal((2, 3, 4), (1, 4))),
    "mul": (ops.mul, normal((3, 1, 4), (2, 1))),
    "div": (ops.div, positive((2, 3), (4, 1, 3))),
    "neg": (ops.neg, normal((2, 3))),
    "power": (ops.power, positive((2, 3), (3,))),
    "power: a number": (lambda x: x**3, normal((2, 3))),
    "power: of a number": (lambda x: 2**x, normal((2, 3))),
    "power: a root": (lambda x: x**-0.5, positive((2, 3))),
    "exp": (ops.exp, normal((2, 3))),
    "log": (ops.log, positive((2, 3))),
    "sqrt": (ops.sqrt, positive((2, 3))),
    "matmul": (ops.matmul, normal((2, 3), (3, 4))),
    "matmul: batches": (ops.matmul, normal((5, 1, 2, 3), (4, 3, 2))),
    "linear": (ops.linear, normal((2, 3), (3, 4), (4,))),
    "linear: one row": (ops.linear, normal((1, 5), (5, 1), (1,))),
    "reshape": (lambda x: ops.reshape(x, (4, -1)), normal((2, 3, 2))),
    "reshape: to one value": (lambda x: ops.reshape(x, ()), normal((1, 1))),
    "transpose": (lambda x: ops.transpose(x, (2, 0, -2)), normal((2, 3, 4))),
    "getitem": (lambda x: ops.getitem(x, (slice(None, None, -2), 1)), normal((5, 3, 2))),
    "getitem: repeated": (lambda x: x[np.array([0, 2, 0, 0])], normal((3, 2))),
    "getitem: pairs": (lambda x: x[[0, 1, 1], [2, 0, 0]], normal((2, 3))),
    "getitem: mask": (lambda x: x[np.array([True, False, True])], normal((3, 2))),
    "getitem: new axis": (lambda x: x[..., None, 1], normal((2, 3))),
    "getitem: one value": (lambda x: x[1, 2], normal((2, 3))),
    "concat": (lambda *x: ops.concat(x, -1), normal((2, 1), (2, 3), (2, 2))),
    "concat: one": (lambda x: ops.concat([x], 0), normal((2, 3))),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (4, 2, 3)), normal((2, 1))),
    "sum": (lambda x: ops.sum(x, (0, -1)), normal((2, 3, 4))),
    "sum: all": (ops.sum, normal((2, 3))),
    "mean": (lambda x: ops.mean(x, 1, keepdims=True), normal((2, 3, 4))),
    "mean: all": (ops.mean, normal((2, 3))),
    "relu": (ops.relu, away_from_zero((3, 4))),
    "tanh": (ops.tanh, normal((3, 4))),
    "sigmoid": (ops.sigmoid, normal((3, 4))),
    "softmax": (ops.softmax, normal((3, 4))),
    "softmax: first axis": (lambda x: ops.softmax(x, 0), normal((3, 4, 2))),
    "dropout": (lambda x: ops.dropout(x, 0.4, seed=3, step=1), normal((5, 7))),
    "add_relu": (ops.add_relu, lambda rng: [a / (1 + i) for i, a in enumerate(away_from_zero((2, 3, 4), (1, 4))(rng))]),
    "batch_norm": (lambda x, g, b: ops.batch_norm(x, g, b, None, None, training=True), normal((2, 3, 2, 4), 4, 4)),
    "batch_norm: rows": (lambda x, g, b: ops.batch_norm(x, g, b, None, None, training=True), normal((5, 3), 3, 3)),
    "batch_norm: one image": (
        lambda x, g, b: ops.batch_norm(x, g, b, None, None, training=True, eps=0.1),
        normal((1, 3, 1, 2), 2, 2),
    ),
    "batch_norm: evaluation": (
        lambda x, g, b: ops.batch_norm(x, g, b, np.array([0.5, -1.0, 2.0]), np.array([0.3, 1, 4]), training=False),
        normal((2, 3, 1, 3), 3, 3),
    ),
    "pad_shortcut": (lambda x: ops.pad_shortcut(x, 5, 2), normal((2, 5, 4, 3))),
    "pad_shortcut: only channels": (lambda x: ops.pad_shortcut(x, 4, 1), normal((1, 2, 3, 3))),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 3, 2, 1), distinct((2, 5, 6, 3))),
    "max_pool2d: gaps": (lambda x: ops.max_pool2d(x, 2, 3), distinct((1, 8, 7, 2))),
    "global_avg_pool": (ops.global_avg_pool, normal((2, 3, 5, 4))),
    "softmax_cross_entropy": (lambda z: ops.softmax_cross_entropy(z, [2, 0, 2, 1, 0]), normal((5, 3))),
    "softmax_cross_entropy: scaled": (lambda z: ops.softmax_cross_entropy(z, [1]) * 3.0, normal((1, 4))),
}
# below, in test_batch_norm.py, and in test_device.py
ELSEWHERE = {"conv2d", "conv2d_input", "conv2d_weight", "bn_relu", "bn_add_relu", "to"}


def test_every_public_op_is_here():
    assert {name.partition(":")[0] for name in CASES} | ELSEWHERE == set(ops.__all__)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives(name, backend, rng):
    function, make = CASES[name]
    with chosen(backend):
        assert gradcheck(function, make(rng), order=2) < 1e-6


# x shape, w shape, stride, padding, groups
CONVOLUTIONS = {
    "all different": ((2, 5, 4, 3), (3, 2, 3, 6), 1, 0, 1),
    "stride 2, remainder": ((2, 6, 7, 2), (3, 3, 2, 4), 2, 1, 1),
    "asymmetric": ((1, 4, 5, 2), (3, 2, 2, 3), 1, (0, 2, 1, 0), 1),
    "asymmetric, stride 2": ((1, 5, 4, 2), (2, 3, 2, 1), 2, (1, 0, 2, 1), 1),
    "padding beyond the kernel": ((1, 3, 2, 2), (2, 1, 2, 3), 1, (3, 2, 1, 4), 1),
    "groups": ((2, 4, 5, 6), (2, 3, 2, 9), 1, 1, 3),
    "depthwise, stride 2": ((1, 5, 5, 4), (3, 3, 1, 4), 2, 1, 4),
    "1x1": ((1, 3, 5, 4), (1, 1, 4, 2), 1, 0, 1),
    "1x1, stride 2": ((2, 5, 4, 3), (1, 1, 3, 2), 2, 0, 1),
    "stride beyond the kernel": ((2, 7, 6, 2), (2, 1, 2, 3), 3, 0, 1),
    "stride beyond the padded image": ((1, 3, 2, 2), (2, 2, 2, 2), 5, 1, 1),
    "the whole image": ((2, 4, 3, 2), (4, 3, 2, 5), 1, 0, 1),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, backend, rng):
    x_shape, w_shape, stride, padding, groups = CONVOLUTIONS[name]
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    geometry = {"stride": stride, "padding": padding, "groups": groups}
    dy = rng.standard_normal(ops.conv2d(x, w, **geometry).shape)
    with chosen(backend):
        assert gradcheck(lambda x, w: ops.conv2d(x, w, **geometry), [x, w], order=2) < 1e-6
        assert gradcheck(lambda dy, w: ops.conv2d_input(dy, w, x_shape, **geometry), [dy, w], order=2) < 1e-6
        assert gradcheck(lambda x, dy: ops.conv2d_weight(x, dy, w_shape, **geometry), [x, dy], order=2) < 1e-6


few = settings(max_examples=25)
seeds = st.integers(0, 2**32 - 1)


@few
@given(
    mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3),
    st.sampled_from(["add", "sub", "mul", "div", "power"]),
    seeds,
)
def test_broadcasting_of_arithmetic(shapes, name, seed):
    arrays = positive(*shapes.input_shapes)(np.random.default_rng(seed))
    assert gradcheck(getattr(ops, name), [np.asarray(a) for a in arrays], order=2) < 1e-6


@few
@given(
    st.lists(st.integers(1, 4), max_size=4).map(tuple),
    st.data(),
    st.sampled_from([ops.sum, ops.mean]),
    st.booleans(),
)
def test_reductions(shape, data, op, keepdims):
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True) if shape else st.just([]))
    axes = tuple(a - len(shape) * data.draw(st.booleans()) for a in axes)
    (x,) = normal(shape)(np.random.default_rng(1))
    y = op(x, axes, keepdims)
    reference = np.sum if op is ops.sum else np.mean
    np.testing.assert_allclose(y.numpy(), reference(x, axis=axes, keepdims=keepdims), atol=1e-12)
    assert gradcheck(lambda x: op(x, axes, keepdims), [x], order=2) < 1e-6


@few
@given(st.tuples(*[st.integers(1, 6)] * 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), seeds)
def test_max_pools(shape, kernel, stride, padding, seed):
    padding = min(padding, kernel // 2)
    shape = (shape[0], max(shape[1], kernel), max(shape[2], kernel), shape[3])
    (x,) = distinct(shape)(np.random.default_rng(seed))
    assert gradcheck(lambda x: ops.max_pool2d(x, kernel, stride, padding), [x], order=2) < 1e-6


@few
@given(st.tuples(*[st.integers(1, 5)] * 4), st.booleans(), seeds)
def test_batch_norms(shape, training, seed):
    shape = (max(shape[0], 3), *shape[1:])
    rng = np.random.default_rng(seed)
    c = shape[-1]
    x = 3 * rng.standard_normal(shape) + rng.standard_normal(c)
    running = rng.standard_normal(c), rng.uniform(0.5, 2, c)

    def f(x, gamma, beta):
        return ops.batch_norm(x, gamma, beta, *(a.copy() for a in running), training=training, eps=1e-2)

    assert gradcheck(f, [x, rng.standard_normal(c), rng.standard_normal(c)], order=2) < 1e-6


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[..., ::-1].copy()[..., ::-1],
    "read-only": lambda a: np.lib.stride_tricks.as_strided(a, a.shape, a.strides, writeable=False),
    "transposed": lambda a: np.moveaxis(np.moveaxis(a, -1, 0).copy(), 0, -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*CASES, *(f"conv2d: {name}" for name in CONVOLUTIONS)])
def test_any_layout(name, layout, rng):
    """Values and gradients do not depend on strides, of the inputs and of the cotangent."""
    if name in CASES:
        function, make = CASES[name]
        arrays = make(rng)
    else:
        *shapes, stride, padding, groups = CONVOLUTIONS[name.removeprefix("conv2d: ")]
        function = partial(ops.conv2d, stride=stride, padding=padding, groups=groups)
        arrays = normal(*shapes)(rng)

    def changed(array):
        other = LAYOUTS[layout](array) if array.ndim else array
        np.testing.assert_array_equal(other, array)
        return other

    def values_and_gradients(arrays, change):
        leaves = [Tensor(change(a), requires_grad=True) for a in arrays]
        y = function(*leaves)
        y.backward(change(np.asarray(np.random.default_rng(1).standard_normal(y.shape))))
        return [y.numpy(), *(x.grad.numpy() for x in leaves)]

    plain, strided = values_and_gradients(arrays, lambda a: a), values_and_gradients(arrays, changed)
    for one, other in zip(plain, strided, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)
