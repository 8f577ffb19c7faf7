"""Large results, which go past the caches: right to the last value, also where they do not begin with a line."""

from __future__ import annotations

import numpy as np
import pytest

import tinyres
from tinyres.kernels import memory
from tinyres.kernels.contracts.batch_norm import off_the_kink
from tinyres.kernels.launch import launch

pytest.importorskip("numba")
from tinyres.kernels.on_numba.stream import bypasses

SHAPE = (9, 61, 31, 20)  # 1.4 MB of float32, and no whole number of rows of 64 values
F4 = np.dtype(np.float32)


def arrays_for(shape, seed=0):
    rng = np.random.default_rng(seed)
    channels = shape[-1]
    x, dy, other = (rng.standard_normal(shape).astype(F4) for _ in range(3))
    gamma, beta = (rng.standard_normal(channels).astype(F4) for _ in range(2))
    axes = tuple(range(len(shape) - 1))
    mean, variance = x.mean(axes, dtype=np.float64).astype(F4), x.var(axes, dtype=np.float64).astype(F4)
    y = np.maximum(other, 0)
    return {
        "batch_norm": (x, gamma, beta),
        "bn_relu": (x, gamma, beta),
        "bn_add_relu": (x, gamma, beta, other),
        "batch_norm_eval": (x, gamma, beta, mean, variance),
        "batch_norm_gradient": (dy, x, gamma, mean, variance),
        "bn_relu_gradient": (dy, off_the_kink(x, gamma, beta, mean, variance), gamma, beta, mean, variance),
        "bn_add_relu_gradient": (dy, y, x, gamma, mean, variance),
        "add": (x, other),
        "add_relu": (x, other),
        "relu": (x,),
        "relu_gradient": (dy, y),
    }


def test_large_results_bypass_and_small_or_displaced_ones_do_not():
    large = memory.empty(SHAPE, F4)
    assert bypasses(large.reshape(-1))
    assert not bypasses(large.reshape(-1)[1:])
    assert not bypasses(np.zeros(1000, F4))


@pytest.mark.parametrize("op", arrays_for((1, 2)))
@pytest.mark.parametrize("displaced", [False, True])
def test_every_pass(op, displaced):
    arrays = arrays_for(SHAPE)[op]
    params = {"eps": 1e-5} if "b" in op[:2] else {}
    with tinyres.use(**{op: "numpy"}):
        right = launch(op, *(a.astype(np.float64) for a in arrays), **params)
    right = right if isinstance(right, tuple) else (right,)
    out = []
    for result in right:
        room = memory.empty((result.size + 1,), F4)
        out.append((room[1:] if displaced else room[:-1]).reshape(result.shape))
        out[-1][...] = np.nan
    with tinyres.use(**{op: "numba"}):
        launch(op, *arrays, out=tuple(out), **params)
    for got, wanted in zip(out, right, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("name", ["numba", "numba.winograd"])
def test_convolution_of_many_pixels(name):
    """Tiles of an image of 37 x 35 are cut off at two sides."""
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((7, 37, 35, 32)), rng.standard_normal((3, 3, 32, 32)) / 17
    params = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
    with tinyres.use(conv2d="numpy"):
        right = launch("conv2d", x, w, **params)
    with tinyres.use(conv2d=name):
        got = launch("conv2d", x.astype(F4), w.astype(F4), **params)
    assert got.nbytes >= 1 << 20
    assert np.abs(got - right).max() < 1e-5 * np.abs(right).max()
