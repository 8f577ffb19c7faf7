"""Convolution and the option-A shortcut: by hand, by the definition, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import Tensor, grad, ops
from tinyres.errors import DtypeError, ShapeError


def defined(x, w, stride, padding, groups):
    """The formula, number by number."""
    top, bottom, left, right = padding
    (n, h, wide, _c), (r, s, cg, f) = x.shape, w.shape
    y = np.zeros((n, (h + top + bottom - r) // stride + 1, (wide + left + right - s) // stride + 1, f))
    for b, i, j, k in np.ndindex(*y.shape):
        group = k // (f // groups)
        for p, q, m in np.ndindex(r, s, cg):
            row, column = i * stride + p - top, j * stride + q - left
            if 0 <= row < h and 0 <= column < wide:
                y[b, i, j, k] += x[b, row, column, group * cg + m] * w[p, q, m, k]
    return y


@pytest.mark.parametrize(
    ("x", "w", "stride", "padding", "groups"),
    [
        ((2, 4, 5, 3), (3, 2, 3, 4), 1, (0, 0, 0, 0), 1),
        ((1, 5, 4, 4), (2, 3, 2, 6), 2, (1, 0, 2, 1), 2),
        ((1, 3, 2, 2), (2, 1, 2, 3), 1, (3, 2, 1, 4), 1),
        ((2, 4, 4, 3), (3, 3, 1, 6), 3, (2, 2, 2, 2), 3),
        ((1, 2, 2, 1), (1, 1, 1, 1), 4, (5, 0, 0, 3), 1),
    ],
)
def test_the_definition(x, w, stride, padding, groups, rng):
    x, w = rng.standard_normal(x), rng.standard_normal(w)
    y = ops.conv2d(x, w, stride=stride, padding=padding, groups=groups)
    np.testing.assert_allclose(y.numpy(), defined(x, w, stride, padding, groups), atol=1e-13)


def test_it_is_a_cross_correlation():
    x, w = np.zeros((1, 3, 3, 1)), np.arange(9.0).reshape(3, 3, 1, 1)
    x[0, 0, 0, 0] = 1
    assert ops.conv2d(x, w, padding=1).numpy()[0, :, :, 0].tolist() == [[4, 3, 0], [1, 0, 0], [0, 0, 0]]
    assert ops.conv2d(x, w, padding=(2, 0, 2, 0)).numpy()[0, :, :, 0].tolist() == [[8, 7, 6], [5, 4, 3], [2, 1, 0]]


def test_groups_do_not_see_each_other(rng):
    x, w = rng.standard_normal((1, 4, 4, 6)), rng.standard_normal((3, 3, 2, 9))
    whole = ops.conv2d(x, w, groups=3).numpy()
    for g in range(3):
        alone = ops.conv2d(x[..., 2 * g : 2 * g + 2], w[..., 3 * g : 3 * g + 3]).numpy()
        np.testing.assert_allclose(whole[..., 3 * g : 3 * g + 3], alone, atol=1e-13)


def test_its_gradients_are_its_adjoints(rng):
    """<conv(x, w), dy> = <x, conv_input(dy, w)> = <w, conv_weight(x, dy)>, with any geometry."""
    x, w = rng.standard_normal((2, 6, 5, 4)), rng.standard_normal((3, 2, 2, 6))
    for stride, padding in [(1, 0), (2, (0, 1, 2, 0)), (3, 4)]:
        geometry = {"stride": stride, "padding": padding, "groups": 2}
        y = ops.conv2d(x, w, **geometry).numpy()
        dy = rng.standard_normal(y.shape)
        value = np.vdot(y, dy)
        np.testing.assert_allclose(np.vdot(x, ops.conv2d_input(dy, w, x.shape, **geometry).numpy()), value)
        np.testing.assert_allclose(np.vdot(w, ops.conv2d_weight(x, dy, w.shape, **geometry).numpy()), value)


@pytest.mark.parametrize("groups", [1, 2])
def test_an_empty_batch(groups):
    """No images in, none out; the filters' gradient is 0."""
    x, w = Tensor(np.ones((0, 5, 4, 2)), True), Tensor(np.ones((3, 3, 2 // groups, 4)), True)
    y = ops.conv2d(x, w, stride=2, padding=1, groups=groups)
    assert y.shape == (0, 3, 2, 4)
    dx, dw = grad(y.sum(), (x, w))
    assert dx.shape == (0, 5, 4, 2)
    assert (dw.numpy() == 0).all()
    assert dw.shape == w.shape


def test_paddings_of_many_kinds():
    x, w = np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1))
    for padding in (1, np.int64(1), (1, 1, 1, 1), [1, 1, 1, 1], tuple(np.ones(4, int))):
        assert ops.conv2d(x, w, padding=padding, stride=np.int32(1)).shape == (1, 4, 4, 1)


X, W = (2, 8, 6, 3), (3, 3, 3, 4)


@pytest.mark.parametrize(
    ("x", "w", "settings", "message"),
    [
        ((2, 3, 8, 6), W, {}, r"x \[2, 3, 8, 6\] has 6 channels and w \[3, 3, 3, 4\] takes 3\. x looks channels first;"
         r" tinyres is channels last: numpy\.moveaxis\(x, 1, -1\)"),
        ((2, 8, 6, 5), W, {}, r"x \[2, 8, 6, 5\] has 5 channels and w \[3, 3, 3, 4\] takes 3\.$"),
        ((2, 8, 6, 4), (3, 3, 3, 4), {"groups": 2}, r"x .* has 4 channels and w \[3, 3, 3, 4\] takes 6 in 2 groups"),
        ((2, 8, 6, 4), (3, 3, 2, 5), {"groups": 2}, r"5 filters in w \[3, 3, 2, 5\] do not divide into 2 groups"),
        ((8, 6, 3), W, {}, r"x has shape \[8, 6, 3\]; 4 dimensions \[N, H, W, C\] are wanted"),
        (X, (3, 3, 3), {}, r"w has shape \[3, 3, 3\]; 4 dimensions \[R, S, C, F\] are wanted"),
        ((2, 2, 6, 3), W, {}, r"a 3x3 window does not fit into x \[2, 2, 6, 3\] with padding \(0, 0, 0, 0\); pad more"),
        (X, W, {"stride": 0}, r"stride 0, padding \(0, 0, 0, 0\); a stride of 1 or more and padding of 0 or more"),
        (X, W, {"padding": -1}, r"stride 1, padding \(-1, -1, -1, -1\); a stride of 1 or more"),
        (X, W, {"stride": (2, 2)}, r"stride is \(2, 2\); one whole number is wanted"),
        (X, W, {"stride": 1.5}, r"stride is 1.5; one whole number is wanted"),
        (X, W, {"padding": (1, 1)}, r"padding \(1, 1\) is neither one number nor \(top, bottom, left, right\)"),
        (X, W, {"padding": "same"}, r"padding 'same' is neither one number nor \(top, bottom, left, right\)"),
        (X, W, {"padding": (1, 1, 1, 0.5)}, r"right is 0.5; one whole number is wanted"),
        (X, W, {"groups": 0}, r"groups is 0; 1 or more are wanted"),
        (X, W, {"groups": -3}, r"groups is -3; 1 or more are wanted"),
    ],
)  # fmt: skip
def test_what_does_not_fit(x, w, settings, message):
    with pytest.raises(ShapeError, match=f"^conv2d: {message}"):
        ops.conv2d(np.ones(x), np.ones(w), **settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.conv2d_input(np.ones((2, 6, 4, 5)), np.ones(W), X), r"^conv2d_input: dy has shape \[2, 6, 4, 5\];"
         r" the convolution's output is \[2, 6, 4, 4\]"),
        (lambda: ops.conv2d_input(np.ones((2, 6, 4, 4)), np.ones(W), (2, 8, 6, 2)), "has 2 channels and w .* takes 3"),
        (lambda: ops.conv2d_input(np.ones((2, 6, 4, 4)), np.ones(W), (8, 6, 3)), r"x has shape \[8, 6, 3\]; 4 dim"),
        (lambda: ops.conv2d_weight(np.ones(X), np.ones((2, 8, 6, 4)), W), r"^conv2d_weight: dy has shape \[2, 8, 6, 4\]"
         r"; the convolution's output is \[2, 6, 4, 4\]"),
        (lambda: ops.conv2d_weight(np.ones(X), np.ones((2, 6, 4, 4)), (3, 3, 2, 4)), "has 3 channels and w .* takes 2"),
        (lambda: ops.conv2d_weight(np.ones(X), np.ones((2, 6, 4, 4)), (3, 3, 4)), r"w has shape \[3, 3, 4\]; 4 dim"),
    ],
)  # fmt: skip
def test_gradients_that_do_not_fit(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize(
    ("x", "w", "message"),
    [
        (np.uint8, np.float32, r"x is uint8; floating arrays are wanted, convert with .astype\('float32'\)"),
        (np.float32, np.int64, "w is int64; floating arrays are wanted"),
        (np.float32, np.float64, "x is float32 and w is float64; convert one, types are never mixed"),
    ],
)
def test_types_that_do_not_fit(x, w, message):
    with pytest.raises(DtypeError, match=f"^conv2d: {message}"):
        ops.conv2d(np.ones(X, x), np.ones(W, w))


# ---- the option-A shortcut -----------------------------------------------------------------------------------------
def test_pad_shortcut_takes_every_second_pixel_and_appends_zeros(rng):
    x = rng.standard_normal((2, 5, 4, 3))
    y = ops.pad_shortcut(x, 7, 2).numpy()
    assert y.shape == (2, 3, 2, 7)
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    assert (y[..., 3:] == 0).all()
    np.testing.assert_array_equal(ops.pad_shortcut(x, 3, 1).numpy(), x)


def test_its_gradient_goes_back_to_the_pixels_taken():
    x = Tensor(np.ones((1, 3, 3, 1)), True)
    dy = np.arange(8.0).reshape(1, 2, 2, 2)
    g = grad(ops.pad_shortcut(x, 2, 2), x, dy).numpy()
    assert g[0, :, :, 0].tolist() == [[0, 0, 2], [0, 0, 0], [4, 0, 6]]


@pytest.mark.parametrize(
    ("shape", "channels", "stride", "message"),
    [
        ((2, 4, 4, 3), 2, 2, r"2 channels, stride 2, x \[2, 4, 4, 3\]: at least 3 channels and stride 1 are wanted"),
        ((2, 4, 4, 3), 4, 0, "4 channels, stride 0"),
        ((4, 4, 3), 4, 2, r"x has shape \[4, 4, 3\]; 4 dimensions"),
        ((2, 4, 4, 3), 4, (2, 2), r"stride is \(2, 2\); one whole number is wanted"),
    ],
)
def test_shortcuts_that_do_not_fit(shape, channels, stride, message):
    with pytest.raises(ShapeError, match=f"^pad_shortcut: {message}"):
        ops.pad_shortcut(np.ones(shape), channels, stride)
