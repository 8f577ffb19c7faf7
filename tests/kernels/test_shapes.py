"""Shape rules: a wrong array never gets as far as a kernel, and the sentence it meets names op, shapes and remedy.

What the public ops say stands in tests/ops; here are the ops behind them, and every op given every kind of wrong array.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinyres import use
from tinyres.errors import DtypeError, ShapeError
from tinyres.kernels import launch
from tinyres.kernels.contracts import CONTRACTS
from tinyres.kernels.shapes import RULES, axes_of, out_size
from tinyres.kernels.shapes.rules import VIEWS

FOR_A_GPU = {"conv2d_stats", "bn_relu_eval", "bn_add_relu_eval"}  # here the oracle alone has them
SHAPES = {
    "an axis more": lambda a: a[None],
    "an axis less": lambda a: np.asarray(a[0]),
    "longer last axis": lambda a: np.concatenate([a, a[..., :1]], -1),
    "longer first axis": lambda a: np.concatenate([a, a[:1]], 0),
    "shorter first axis": lambda a: a[1:],
    "nothing": lambda a: a[:0],
    "flat": lambda a: a.reshape(-1),
    "one value": lambda a: np.asarray(a.reshape(-1)[0]),
}


def wrong_calls(op, changes):
    """Every sample of the op's contract with one of its arrays changed."""
    for case in CONTRACTS[op].cases(np.random.default_rng(0)):
        for position, array in enumerate(case.arrays):
            for name, change in changes.items():
                if array.ndim and array.size:
                    arrays = [*case.arrays[:position], change(array), *case.arrays[position + 1 :]]
                    yield f"{case.name}, array {position}: {name}", arrays, case.params


@pytest.mark.parametrize("op", sorted(RULES.keys() - {"augment"}))  # its indices are the loader's own
def test_wrong_shapes_are_refused_or_fit(op):
    """No kernel stumbles: the call works, or the message begins with the op and shows a shape."""
    messages = {}
    for what, arrays, params in wrong_calls(op, SHAPES):
        try:
            with use(**{op: "naive"} if op in FOR_A_GPU else {}):
                launch(op, *arrays, **params)
        except ShapeError as error:
            messages[what] = str(error)
    told = re.compile(rf"{op}: .*(\[[\d, ]*\]|\d dimensions).*\.", re.DOTALL)
    assert {what: text for what, text in messages.items() if not told.fullmatch(text)} == {}
    accepts_any = {"neg", "exp", "log", "sqrt", "relu", "tanh", "sigmoid", "dropout"}
    assert messages or op in accepts_any


@pytest.mark.parametrize("op", sorted(RULES.keys() - {*VIEWS, "broadcast_to"}))
def test_wrong_types_are_refused(op):
    """Integers for floats, floats for integers, and float32 among float64."""
    for case in CONTRACTS[op].cases(np.random.default_rng(0)):
        floats = [a.dtype.kind == "f" for a in case.arrays]
        for position, array in enumerate(case.arrays):
            kinds = ([np.int64] + [np.float32] * (sum(floats) > 1)) if floats[position] else [np.float64]
            for kind in kinds:
                arrays = [*case.arrays[:position], array.astype(kind), *case.arrays[position + 1 :]]
                with pytest.raises(DtypeError, match=f"^{op}: .*{np.dtype(kind)}"):
                    launch(op, *arrays, **case.params)


def ones(*shape, dtype=float):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("op", "arrays", "params", "error", "message"),
    [
        ("relu_gradient", [ones(2, 3), ones(3, 2)], {}, ShapeError,
         r"dy has shape \[2, 3\] and y \[3, 2\]; they must be the same"),
        ("relu_gradient", [ones(2), ones(2, dtype="f4")], {}, DtypeError, "dy is float64 and y is float32"),
        ("batch_norm_gradient", [ones(2, 3), ones(2, 4), ones(4), ones(4), ones(4)], {"eps": 1.0}, ShapeError,
         r"dy has shape \[2, 3\] and x \[2, 4\]"),
        ("batch_norm_gradient", [ones(2, 4), ones(2, 4), ones(4), ones(4), ones(3)], {"eps": 1.0}, ShapeError,
         r"variance has shape \[3\]; \[4\] is wanted, one value for each channel"),
        ("batch_norm_eval", [ones(2, 4), ones(4), ones(4), ones(1), ones(4)], {"eps": 1.0}, ShapeError,
         r"mean has shape \[1\]; \[4\] is wanted"),
        ("bn_relu_gradient", [ones(2, 4), ones(2, 4), ones(4), ones(3), ones(4), ones(4)], {"eps": 1.0}, ShapeError,
         r"beta has shape \[3\]; \[4\] is wanted"),
        ("bn_add_relu_gradient", [ones(2, 4), ones(2, 3), ones(2, 4), ones(4), ones(4), ones(4)], {"eps": 1.0},
         ShapeError, r"y has shape \[2, 3\] and x \[2, 4\]"),
        ("running_averages", [ones(3), ones(3), ones(3), ones(4)], {"momentum": 0.1, "scale": 1.0}, ShapeError,
         r"variance has shape \[4\] and running_mean \[3\]; they must be the same"),
        ("sgd", [ones(3), ones(3), ones(4)], {"lr": 0.1, "momentum": 0, "weight_decay": 0, "nesterov": False},
         ShapeError, r"g has shape \[4\] and w \[3\]"),
        ("sgd", [ones(3), ones(3, dtype="f4"), ones(3)], {"lr": 0.1, "momentum": 0, "weight_decay": 0,
         "nesterov": False}, DtypeError, "w is float64 and v is float32"),
        ("pad_shortcut_gradient", [ones(2, 2, 2, 3)], {"shape": (2, 5, 4, 3), "stride": 2}, ShapeError,
         r"dy has shape \[2, 2, 2, 3\]; \[2, 3, 2, 3\] is wanted here"),
        ("global_avg_pool_gradient", [ones(2, 3)], {"shape": (2, 5, 4, 4)}, ShapeError,
         r"dy has shape \[2, 3\]; \[2, 4\] is wanted here"),
        ("getitem_gradient", [ones(3)], {"index": [0, 1], "shape": (4,)}, ShapeError,
         r"dy has shape \[3\]; \[2\] is wanted here"),
        ("max_pool2d_gradient", [ones(1, 2, 2, 3), ones(1, 2, 2, 3, dtype=int)], {"shape": (2, 4, 4, 3)}, ShapeError,
         r"place has shape \[1, 2, 2, 3\]; \[2, 2, 2, 3\] is wanted here"),
        ("max_pool2d_gather", [ones(1, 4, 4, 3), ones(1, 2, 2, 2, dtype=int)], {}, ShapeError,
         r"place has shape \[1, 2, 2, 2\]; \[1, 2, 2, 3\] is wanted here"),
        ("softmax", [ones(2, 0)], {"axis": 1}, ShapeError, r"axis 1 of \[2, 0\] has no values to share 1 among"),
        ("mean", [ones(0, 3)], {"axis": (0,), "keepdims": False}, ShapeError,
         r"\[0, 3\] has no values along axis \(0,\), whose mean is undefined"),
        ("augment", [ones(5, 4, 4, 3)] + [ones(2, dtype=int)] + [ones(4, 4, 3)] + [ones(2, dtype=int)] * 2
         + [ones(2, dtype=bool)], {"scale": 1.0, "padding": 0}, DtypeError,
         r"images are float64 \[5, 4, 4, 3\] and mean \[4, 4, 3\]; uint8 images and a mean of one image's shape"),
        ("augment", [ones(5, 4, 4, 3, dtype="u1")] + [ones(2, dtype=int)] + [ones(4, 4, 1)] + [ones(2, dtype=int)] * 2
         + [ones(2, dtype=bool)], {"scale": 1.0, "padding": 0}, ShapeError,
         r"images are uint8 \[5, 4, 4, 3\] and mean \[4, 4, 1\]; uint8 images and a mean of one image's shape"),
        ("augment", [ones(5, 4, 4, 3, dtype="u1")] + [ones(2, dtype=int)] + [ones(4, 4, 3)] + [ones(3, dtype=int)] * 2
         + [ones(2, dtype=bool)], {"scale": 1.0, "padding": 0}, ShapeError,
         r"top has shape \[3\] and index \[2\]; they must be the same"),
    ],
)  # fmt: skip
def test_messages(op, arrays, params, error, message):
    with pytest.raises(error, match=f"^{op}: {message}"):
        launch(op, *arrays, **params)


def test_rules_know_their_results():
    """Shapes and types of every result, before anything is computed; labels and places are int64."""
    f4 = np.dtype(np.float32)
    x = np.ones((2, 5, 4, 3), f4)
    conv = RULES["conv2d"](x, np.ones((3, 2, 3, 6), f4), stride=2, padding=(1, 0, 0, 1), groups=1)
    assert conv == [((2, 2, 2, 6), f4)]
    pool = RULES["max_pool2d"](x, kernel=3, stride=2, padding=1)
    assert pool == [((2, 3, 2, 3), f4), ((2, 3, 2, 3), np.dtype(np.int64))]
    norm = RULES["batch_norm"](x, np.ones(3, f4), np.ones(3, f4), eps=0.1)
    assert norm == [((2, 5, 4, 3), f4), ((3,), f4), ((3,), f4)]
    assert RULES["bn_add_relu_gradient"](x, x, x, *[np.ones(3, f4)] * 3, eps=0.1)[3] == ((2, 5, 4, 3), f4)


@pytest.mark.parametrize(
    ("axis", "axes"), [(None, (0, 1, 2)), (0, (0,)), (-1, (2,)), ((2, 0), (0, 2)), ((), ()), (np.int64(-3), (0,))]
)
def test_axes(axis, axes):
    assert axes_of("sum", 3, axis) == axes


@pytest.mark.parametrize("axis", [3, -4, (0, 0), (0, -3), (1, 5)])
def test_axes_that_do_not_exist(axis):
    with pytest.raises(ShapeError, match=r"^sum: axis .* does not fit an array of 3 dimensions"):
        axes_of("sum", 3, axis)


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [(0, 0), (0, 1), (2, 1)])
def test_window_positions_are_counted(kernel, stride, padding):
    for size in range(kernel, 9):
        padded = size + sum(padding)
        assert out_size(size, kernel, stride, *padding) == len(range(0, padded - kernel + 1, stride))
