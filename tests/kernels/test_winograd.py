"""Winograd's convolution: the transforms against their definition, the error that its documentation states."""

from __future__ import annotations

import numpy as np
import pytest

import tinyres
from tinyres.kernels.launch import launch

pytest.importorskip("numba")
from tinyres.kernels.on_numba import tiles, winograd
from tinyres.kernels.on_numba.vectors import VECTOR_BYTES

GEOMETRY = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
STAGES = [(4, 32, 16), (8, 16, 32), (16, 8, 64)]  # images, height and width, channels


def layer(images, size, channels, seed=0):
    """Activations after a ReLU, He-normal filters, a cotangent."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal((images, size, size, channels)), 0)
    w = rng.standard_normal((3, 3, channels, channels)) * np.sqrt(2 / (9 * channels))
    return x, w, rng.standard_normal(x.shape)


def run(op, name, *arrays, dtype, **params):
    with tinyres.use(**{op: name}):
        return launch(op, *(a.astype(dtype) for a in arrays), **params)


def calls(x, w, dy):
    yield "conv2d", (x, w), GEOMETRY
    yield "conv2d_input", (dy, w), GEOMETRY | {"shape": x.shape}
    yield "conv2d_weight", (x, dy), GEOMETRY | {"shape": w.shape}


@pytest.mark.parametrize("stage", STAGES)
def test_float32_is_off_by_what_the_documentation_says(stage):
    """At most 2e-6 of the largest value; typically (root of the mean squares) up to six times as far as direct."""
    for op, arrays, params in calls(*layer(*stage)):
        right = run(op, "numpy", *arrays, dtype=np.float64, **params)
        got = run(op, "numba.winograd", *arrays, dtype=np.float32, **params)
        direct = run(op, "numba", *arrays, dtype=np.float32, **params)
        assert np.abs(got - right).max() < 2e-6 * np.abs(right).max(), op
        assert np.mean((got - right) ** 2) < 6**2 * np.mean((direct - right) ** 2), op


def test_float64_is_off_by_a_few_roundings():
    for op, arrays, params in calls(*layer(3, 10, 16)):
        right = run(op, "numpy", *arrays, dtype=np.float64, **params)
        got = run(op, "numba.winograd", *arrays, dtype=np.float64, **params)
        np.testing.assert_allclose(got, right, rtol=0, atol=1e-14 * np.abs(right).max() * 10)


def test_it_is_another_kernel_than_the_direct_one():
    x, w, _ = layer(2, 8, 16)
    direct, other = (run("conv2d", name, x, w, dtype=np.float32, **GEOMETRY) for name in ("numba", "numba.winograd"))
    assert not np.array_equal(direct, other)


@pytest.mark.parametrize("change", [{"stride": 2}, {"groups": 2}, {"channels": 3}, {"taps": 1}])
def test_what_it_cannot_do_is_done_by_the_direct_kernel_to_the_bit(change):
    channels, taps, groups = change.get("channels", 16), change.get("taps", 3), change.get("groups", 1)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 9, 8, channels))
    w = rng.standard_normal((taps, taps, channels // groups, 16))
    params = {"stride": change.get("stride", 1), "padding": (1, 1, 1, 1), "groups": groups}
    direct, other = (run("conv2d", name, x, w, dtype=np.float32, **params) for name in ("numba", "numba.winograd"))
    assert np.array_equal(direct, other)


SIZES = [(1, 1), (2, 5), (4, 4), (5, 9), (7, 3)]
PADDINGS = [(0, 0, 0, 0), (2, 0, 1, 2), (1, 1, 1, 1)]


@pytest.mark.parametrize(
    ("size", "padding"),
    [(s, p) for s in SIZES for p in PADDINGS if min(s[0] + p[0] + p[1], s[1] + p[2] + p[3]) >= 3],
)
def test_images_of_any_size_and_padding(size, padding):
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((3, *size, 16)), rng.standard_normal((3, 3, 16, 32))
    params = {"stride": 1, "padding": padding, "groups": 1}
    right = run("conv2d", "numpy", x, w, dtype=np.float64, **params)
    dy = rng.standard_normal(right.shape)
    for op, arrays, extra in (
        ("conv2d", (x, w), {}),
        ("conv2d_input", (dy, w), {"shape": x.shape}),
        ("conv2d_weight", (x, dy), {"shape": w.shape}),
    ):
        right = run(op, "numpy", *arrays, dtype=np.float64, **params, **extra)
        got = run(op, "numba.winograd", *arrays, dtype=np.float32, **params, **extra)
        assert np.abs(got - right).max() <= 1e-5 * np.abs(right).max(initial=1), op


def test_the_forward_pass_of_an_image_does_not_depend_on_the_batch_around_it():
    x, w, _ = layer(9, 12, 16)
    whole = run("conv2d", "numba.winograd", x, w, dtype=np.float32, **GEOMETRY)
    for n in (0, 4, 8):
        alone = run("conv2d", "numba.winograd", x[n : n + 1], w, dtype=np.float32, **GEOMETRY)
        assert np.array_equal(alone[0], whole[n])


def test_the_filters_are_polynomials_at_the_six_points():
    """0, a, -a, b, -b and infinity, over the products of the distances between the points."""
    points = [0, tiles.a, -tiles.a, tiles.b, -tiles.b]
    distances = [np.prod([p - q for q in points if q != p]) for p in points]
    at_points = np.array([[p**k / d for k in range(3)] for p, d in zip(points, distances, strict=True)] + [[0, 0, 1]])
    lanes = VECTOR_BYTES // 8
    for turned in (False, True):
        w = np.random.default_rng(3).standard_normal((3, 3, 3, 2 * lanes))
        u = np.empty((36, w.size // 9))
        wanted = w
        if turned:  # the same filters, as the forward pass would have stored them
            w = np.ascontiguousarray(wanted[::-1, ::-1].swapaxes(2, 3))
        winograd._transform_filters(w.reshape(-1), turned, 3, 2 * lanes, lanes, u, lanes)
        blocks = wanted.reshape(3, 3, 3, 2, lanes).swapaxes(2, 3)
        expected = np.einsum("ir,rsbck,js->ijbck", at_points, blocks, at_points)
        np.testing.assert_allclose(u.reshape(6, 6, 2, 3, lanes), expected, atol=1e-13)
