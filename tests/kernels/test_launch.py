"""launch: devices, layouts, out arrays, updates in place, and what a kernel of one's own may return."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import ops, use
from tinyres.errors import DeviceError, DtypeError, KernelError, ShapeError
from tinyres.kernels import launch, registry

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": False}
GEOMETRY = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
X = np.array([[-1.0, 2.0], [3.0, -4.0]])


def available(op):
    return [row["kernel"] for row in registry.table() if row["op"] == op and row["missing"] is None]


@pytest.fixture
def mine(own_kernels):
    """Enter a function as kernel `mine` of an op and run the op with it."""

    def run(op, function, *arrays, declared=None, **params):
        own_kernels.kernel(op, "mine", **declared or {})(function)
        with use(**{op: "mine"}):
            return launch(op, *arrays, **params)

    return run


# ---- arrays that are no arrays -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "name"), [([1.0], "list"), (1.0, "float"), (None, "NoneType"), ("a", "str")])
def test_other_things_than_arrays(value, name):
    with pytest.raises(DeviceError, match=f"expected a numpy or cupy array, got {name}; wrap it with numpy.asarray"):
        launch("relu", value)
    with pytest.raises(DeviceError, match=f"got {name}"):
        launch("add", X, value)


def test_devices_are_never_mixed():
    # what a CuPy array looks like from here
    stranger = type("ndarray", (), {"__module__": "cupy", "shape": (2, 2), "dtype": X.dtype})()
    with pytest.raises(
        DeviceError, match="add: array 0 is on cpu and array 1 on cuda; move one of them, nothing is copi"
    ):
        launch("add", X, stranger)


# ---- out -----------------------------------------------------------------------------------------------------------
def test_out_is_written_and_returned():
    out = np.empty_like(X)
    assert launch("relu", X, out=out) is out
    assert out.tolist() == [[0, 2], [3, 0]]
    view = launch("transpose", X, axes=(1, 0))
    assert np.shares_memory(view, X)
    copied = np.empty((2, 2))
    assert launch("transpose", X, axes=(1, 0), out=copied) is copied
    assert copied.tolist() == X.T.tolist()


@pytest.mark.parametrize("backend", ["naive", "numpy", "numba", "numba.winograd"])
def test_out_of_any_layout(backend, rng):
    x, w = rng.standard_normal((3, 5, 4, 2)), rng.standard_normal((3, 3, 2, 6))
    with use(all=backend):
        expected = launch("conv2d", x, w, **GEOMETRY)
        for out in (np.zeros((6, 4, 5, 3)).T, np.zeros((3, 5, 4, 12))[..., ::2], np.zeros((3, 5, 4, 6))[::-1]):
            assert launch("conv2d", x, w, out=out, **GEOMETRY) is out
            np.testing.assert_array_equal(out, expected)
        y, place = launch("max_pool2d", x, kernel=2, stride=1, padding=0)
        strided = np.zeros((3, 5, 4, 4))[..., ::2]
        launch("max_pool2d_gradient", y, place, shape=x.shape, out=strided)
        np.testing.assert_array_equal(strided, launch("max_pool2d_gradient", y, place, shape=x.shape))


def test_several_results_go_to_several_outs(rng):
    x = rng.standard_normal((5, 3))
    outs = np.empty((5, 3)), np.empty(3), np.empty(3)
    returned = launch("batch_norm", x, np.ones(3), np.zeros(3), eps=0.0, out=outs)
    assert all(a is b for a, b in zip(returned, outs, strict=True))
    np.testing.assert_allclose(outs[1], x.mean(0))


@pytest.mark.parametrize(
    ("op", "arrays", "out", "params", "message"),
    [
        ("relu", [X], np.empty((2, 3)), {}, r"relu: out is float64 \[2, 3\], the result is float64 \[2, 2\]"),
        ("relu", [X], np.empty((2, 2), np.float32), {}, r"relu: out is float32 \[2, 2\], the result is float64"),
        ("relu", [X], (X, X), {}, "relu: out has 2 arrays and the op 1 results; give one for each"),
        ("sgd", [X, X, X], X, SGD, "sgd: out has 1 arrays and the op 2 results"),
        ("sgd", [X, X, X], (X, X[0]), SGD, r"sgd: out is float64 \[2\], the result is float64 \[2, 2\]"),
    ],
)
def test_outs_that_do_not_fit(op, arrays, out, params, message):
    with pytest.raises(ShapeError, match=message):
        launch(op, *arrays, out=out, **params)


# ---- in place ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("kernel", available("sgd"))
def test_sgd_in_place_equals_sgd_apart(kernel, nesterov, rng):
    w, v, g = (rng.standard_normal(200_003).astype(np.float32) for _ in range(3))  # several blocks and a rest
    settings = SGD | {"nesterov": nesterov}
    before = g.copy()
    with use(sgd=kernel):
        apart = launch("sgd", w, v, g, **settings)
        launch("sgd", w, v, g, out=(w, v), **settings)
    for here, there in zip((w, v), apart, strict=True):
        np.testing.assert_array_equal(here, there)
    np.testing.assert_array_equal(g, before)


@pytest.mark.parametrize("kernel", available("running_averages"))
def test_running_averages_in_place(kernel, rng):
    running, batch = rng.standard_normal((2, 5)), rng.standard_normal((2, 5))
    settings = {"momentum": 0.3, "scale": 1.25}
    with use(running_averages=kernel):
        apart = launch("running_averages", *running, *batch, **settings)
        launch("running_averages", *running, *batch, **settings, out=tuple(running))
    np.testing.assert_allclose(running, apart, rtol=1e-15)


@pytest.mark.parametrize("kernel", available("add"))
def test_add_in_place(kernel, rng):
    """How gradients add up in their slot of the flat buffer, a view in the middle of it."""
    flat, g = rng.standard_normal(12), rng.standard_normal((2, 3))
    before = flat.copy()
    slot = flat[3:9].reshape(2, 3)
    with use(add=kernel):
        launch("add", slot, g, out=slot)
    np.testing.assert_array_equal(flat[3:9], before[3:9] + g.ravel())
    np.testing.assert_array_equal(np.delete(flat, range(3, 9)), np.delete(before, range(3, 9)))


# ---- what a kernel is given ----------------------------------------------------------------------------------------
def test_a_kernel_gets_contiguous_arrays_unless_it_takes_any(mine):
    layouts = []

    def add(a, b):
        layouts.append((a.flags.c_contiguous, b.flags.c_contiguous))
        return a + b

    mine("add", add, X.T, X[:, ::-1])
    mine("add", add, X.T, X[:, ::-1], declared={"strided": True})
    assert layouts == [(True, True), (False, False)]


def test_a_kernel_with_out_gets_a_contiguous_one_and_numbers_stay_numbers(mine):
    seen = []

    def add(a, b, *, out):
        seen.append((a.shape, b.shape, out.flags.c_contiguous))
        np.add(a, b, out=out)

    assert mine("add", add, X, np.array(1.0), out=np.empty((2, 4))[:, ::2]).tolist() == (X + 1).tolist()
    assert mine("add", add, np.array(2.0), np.array(1.0)) == 3
    assert seen == [((2, 2), (), True), ((), (), True)]


# ---- what a kernel returns -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("returned", [lambda x: -x, lambda x: (-x).tolist(), lambda x: (-x).astype(np.float32)])
def test_kernels_without_out_return_their_result(mine, returned):
    result = mine("neg", returned, X)
    assert result.dtype == np.float64
    assert result.tolist() == (-X).tolist()


def test_kernels_of_one_value_may_return_a_number(mine):
    loss = mine("softmax_cross_entropy", lambda z, k: 0.25, X, np.array([0, 1]))
    assert isinstance(loss, np.ndarray)
    assert loss.shape == ()
    assert mine("sum", lambda x, axis, keepdims: np.sum(x), X, axis=None, keepdims=False) == 0


@pytest.mark.parametrize("op", ["transpose", "neg"])
def test_kernels_with_out_write_it(mine, op):
    def kernel(x, *, out, **_):
        out[...] = x.T if op == "transpose" else -x

    params = {"axes": (1, 0)} if op == "transpose" else {}
    assert mine(op, kernel, X, **params).tolist() == (X.T if op == "transpose" else -X).tolist()


@pytest.mark.parametrize(
    ("op", "kernel", "error", "message"),
    [
        ("neg", lambda x: x[0], ShapeError, r"returned shape \[2\], the result has shape \[2, 2\]"),
        ("neg", lambda x: x.sum(), ShapeError, r"returned shape \[\], the result has shape \[2, 2\]"),
        ("neg", lambda x: (x, x), ShapeError, "returned 2 arrays, the op has 1 results"),
        ("neg", lambda x: None, DtypeError, "returned None, the result is float64"),
        ("neg", lambda x: x + 1j, DtypeError, "returned complex128, the result is float64"),
        ("neg", lambda x: "text", DtypeError, "returned <U4, the result is float64"),
        ("neg", lambda x, *, out: -x, KernelError, "takes `out` and returned something else; write to `out`"),
        ("transpose", lambda x, axes: x[0], ShapeError, r"returned shape \[2\], the result has shape \[2, 2\]"),
        ("transpose", lambda x, axes: None, DtypeError, "returned None"),
    ],
)
def test_kernels_that_return_something_else(mine, op, kernel, error, message):
    with pytest.raises(error, match=f"^kernel 'mine' of {op} {message}"):
        mine(op, kernel, X, **({"axes": (1, 0)} if op == "transpose" else {}))


def test_kernels_that_return_the_wrong_number_or_kind_of_results(mine):
    x = np.ones((1, 2, 2, 1))
    window = {"kernel": 2, "stride": 2, "padding": 0}
    with pytest.raises(ShapeError, match="returned 1 arrays, the op has 2 results"):
        mine("max_pool2d", lambda x, **_: x[:, :1, :1], x, **window)
    with pytest.raises(DtypeError, match="returned float64, the result is int64"):
        mine("max_pool2d", lambda x, **_: (x[:, :1, :1], x[:, :1, :1]), x, **window)


def test_a_kernel_that_fails_is_not_hidden(mine):
    def broken(x):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        mine("neg", broken, X)


def test_a_kernel_entered_again_replaces_the_first(own_kernels):
    for factor in (2, 3):
        own_kernels.kernel("neg", "mine")(lambda x, f=factor: -f * x)
        with use(neg="mine"):
            assert ops.neg(X).numpy().tolist() == (-factor * X).tolist()


def test_what_a_kernel_declares(own_kernels):
    def function(x, *, out):
        np.negative(x, out=out)

    assert own_kernels.kernel("neg", "mine.tf32", precision="tf32", dtypes=("float32",))(function) is function
    found = registry.find("neg", "mine.tf32")
    assert (found.backend, found.precision, found.dtypes, found.writes_out) == ("mine", "tf32", ("float32",), True)
    with pytest.raises(TypeError, match="unexpected keyword"):
        own_kernels.kernel("neg", "mine", colour="red")(print)


# ---- types ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_type_of_the_inputs_on_every_backend(dtype):
    x = X.astype(dtype)
    for backend in ("naive", "numpy", "numba"):
        with use(all=backend):
            assert launch("relu", x).dtype == dtype
            assert launch("reshape", x, shape=(4,)).dtype == dtype
            assert launch("getitem", x, index=0).dtype == dtype
            assert launch("transpose", x, axes=(1, 0)).dtype == dtype
            assert {a.dtype for a in launch("batch_norm", x, x[0], x[1], eps=1.0)} == {np.dtype(dtype)}


def test_a_result_that_may_not_be_written_to():
    out = np.full(128, 7, np.float32)
    out.setflags(write=False)
    with pytest.raises(ShapeError, match=r"relu: out \[128\] is read-only; give an array that may be written to"):
        launch("relu", -np.ones(128, np.float32), out=out)
    assert np.all(out == 7)


@pytest.mark.parametrize("name", ["naive", "numpy", "numba"])
def test_arrays_in_another_order_of_bytes(name):
    x, w = np.arange(48.0).reshape(1, 4, 4, 3), np.ones((3, 3, 3, 2))
    params = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
    with use(all=name):
        right = launch("conv2d", x, w, **params)
        got = launch("conv2d", x.astype(">f8"), w.astype(">f8"), **params)
    assert got.dtype == np.float64
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, right)
