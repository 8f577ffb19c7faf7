"""Convolutions as implicit matrix products: every layer of the CIFAR nets, and many odd ones, in every precision.

Each result is held against float64 twice: on the arrays as they are, where the precision shows, and on arrays that were
rounded as the kernel rounds them, where nothing but the order of a float32 sum may differ.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import use
from tinyres.bench.layers import chosen
from tinyres.errors import KernelError
from tinyres.kernels import cuda, registry
from tinyres.kernels.launch import launch
from tinyres.kernels.on_cupy import igemm, igemm_plan

LIMITS = {"full": 1e-6, "3xtf32": 2e-6, "tf32": 1e-3, "bf16": 1e-2}  # relative L2 error against exact factors
SUMMED = 1e-6  # the same against rounded factors
PRECISIONS = {precision.declared: precision for precision in igemm.PRECISIONS}
EACH = [pytest.param(name, marks=[pytest.mark.slow] * (name in ("3xtf32", "bf16"))) for name in PRECISIONS]
REDUCED, OPS = ("tf32", "bf16"), ("conv2d", "conv2d_stats", "conv2d_input", "conv2d_weight")


def rounded(a, precision):
    """The factors that a precision multiplies, as float32."""
    bits = np.asarray(a, np.float32).view(np.uint32)
    if precision == "tf32":  # nearest, halves away from zero, 10 bits of mantissa
        bits = (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    elif precision == "bf16":  # nearest, halves to even, 7 bits
        bits = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def error(got, right):
    return float(np.linalg.norm((got - right).ravel()) / np.linalg.norm(right.ravel()))


def calls(rng, x_shape, w_shape, dtype=np.float32, **geometry):
    """Op, arrays and parameters of a layer's forward pass and gradients."""
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape))
    y_shape = exact("conv2d", (x, w), geometry).shape
    dy = rng.standard_normal(y_shape).astype(dtype)
    return [
        ("conv2d_stats", (x, w), geometry),
        ("conv2d_input", (dy, w), {"shape": x_shape, **geometry}),
        ("conv2d_weight", (x, dy), {"shape": w_shape, **geometry}),
    ]


def exact(op, arrays, params):
    """By NumPy's kernel in float64, which the bank of convolutions holds against the naive one."""
    arrays = tuple(a.astype(np.float64) for a in arrays)
    with use(conv="numpy"):
        return launch(op.removesuffix("_stats"), *arrays, **params)


def run(xp, op, arrays, params, precision):
    """What the kernel of a precision gives, on the host."""
    with use(**{op: f"cupy.igemm{PRECISIONS[precision].name}"}):
        got = launch(op, *map(xp.asarray, arrays), **params)
    return tuple(a.get() for a in got) if isinstance(got, tuple) else got.get()


def check(xp, op, arrays, params, precision):
    """One op of one layer in one precision."""
    got = run(xp, op, arrays, params, precision)
    if op == "conv2d_stats":
        got, mean, variance = got
        values = got.astype(np.float64).reshape(-1, got.shape[-1])
        np.testing.assert_allclose(mean, values.mean(0), rtol=1e-6, atol=1e-6 * values.std())
        np.testing.assert_allclose(variance, values.var(0), rtol=2e-6)
    right = exact(op, arrays, params)
    assert got.shape == right.shape
    said = f"{op} {params}, {precision}"
    limit = LIMITS[precision] if got.dtype == np.float32 else 1e-14
    assert (far := error(got, right)) <= limit, f"{said}: error {far:.1e}"
    if precision in REDUCED:
        assert far > 1e-2 * limit, f"{said}: the factors were not rounded"
        near = error(got, exact(op, tuple(rounded(a, precision) for a in arrays), params))
        assert near <= SUMMED, f"{said}: error {near:.1e} against rounded factors"
    return got


# Every convolution of ResNet-20 ... 1202 and the plain nets, projections of option B included, and those that only
# option C has: projections of shortcuts that change nothing.
LAYERS = [
    *((layer.size, layer.channels, layer.filters, layer.window, layer.stride)
      for _, layer, _ in chosen(("cifar",), ("conv2d",))),
    (32, 16, 16, 1, 1), (16, 32, 32, 1, 1), (8, 64, 64, 1, 1),
]  # fmt: skip


def test_the_layers_are_those_of_the_paper():
    assert len(LAYERS) == len(set(LAYERS)) == 11
    assert {(32, 3, 16, 3, 1), (32, 16, 32, 3, 2), (16, 32, 64, 3, 2), (16, 32, 64, 1, 2)} < set(LAYERS)


@pytest.mark.parametrize("precision", EACH)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: "{3}x{3}/{4} {1}-{2} @{0}".format(*layer))
def test_every_layer_of_the_nets(gpu, rng, layer, precision):
    size, channels, filters, window, stride = layer
    batch = 2 if size == 8 else 1  # a tile of 8x8 is two images
    geometry = {"stride": stride, "padding": (window // 2,) * 4, "groups": 1}
    for op, arrays, params in calls(
        rng, (batch, size, size, channels), (window, window, channels, filters), **geometry
    ):
        check(gpu, op, arrays, params, precision)


def odd(number):
    """A random convolution: odd sizes, any stride and padding, groups, channels that fill no quad."""
    rng = np.random.default_rng([number, 86])
    groups = int(rng.choice([1, 1, 2, 3]))
    depth, width = (int(rng.choice([1, 2, 3, 4, 5, 8, 12, 16, 19, 33])) for _ in range(2))
    r, s = (int(rng.choice([1, 2, 3, 3, 5])) for _ in range(2))
    stride = int(rng.choice([1, 1, 2, 3]))
    padding = tuple(int(rng.integers(0, window + 1)) for window in (r, r, s, s))
    high = max(int(rng.integers(1, 14)), r - padding[0] - padding[1])
    wide = max(int(rng.integers(1, 14)), s - padding[2] - padding[3])
    batch = int(rng.choice([1, 2, 3, 5]))
    geometry = {"stride": stride, "padding": padding, "groups": groups}
    return rng, (batch, high, wide, groups * depth), (r, s, depth, groups * width), geometry


@pytest.mark.parametrize("precision", EACH)
def test_odd_convolutions(gpu, precision):
    for number in range(30):
        rng, x, w, geometry = odd(number)
        for op, arrays, params in calls(rng, x, w, **geometry):
            if op == "conv2d_stats" and exact(op, arrays, params)[..., 0].size < 2:
                op = "conv2d"
            got = run(gpu, op, arrays, params, precision)
            got = got[0] if op == "conv2d_stats" else got
            factors = tuple(rounded(a, precision) for a in arrays) if precision in REDUCED else arrays
            right = exact(op, factors, params)
            np.testing.assert_allclose(got, right, atol=3e-6 * max(1, np.abs(right).max()), err_msg=f"{number} {op}")


@pytest.mark.slow
def test_float64(gpu, rng):
    for op, arrays, params in calls(
        rng, (2, 9, 8, 6), (3, 3, 3, 10), np.float64, stride=2, padding=(1, 0, 2, 1), groups=2
    ):
        check(gpu, op, arrays, params, "full")


@pytest.mark.parametrize(
    ("x", "w", "stride", "padding"),
    [
        ((1, 23, 23, 3), (11, 11, 3, 10), 4, (2, 2, 2, 2)),  # AlexNet's first
        ((1, 17, 15, 3), (7, 7, 3, 20), 2, (3, 3, 3, 3)),  # the first of the ImageNet nets
        ((2, 6, 5, 130), (3, 3, 130, 10), 1, (1, 1, 1, 1)),  # many chunks of channels, the last one of two
        ((1, 3, 40, 5), (1, 31, 5, 7), 1, (0, 0, 15, 15)),  # more taps in a row than a block has warps for
    ],
)
def test_what_does_not_fit_is_done_in_parts(gpu, rng, monkeypatch, x, w, stride, padding):
    """In a quarter of the shared memory, so that filters are taken in rectangles of taps."""
    rectangles = set()
    best = igemm_plan.best_tile

    def watched(problem, *arguments):
        tile = best(problem, *arguments)
        rectangles.add((tile.tap_h, tile.tap_w) < (problem.tap_h, problem.tap_w))
        return tile

    monkeypatch.setattr(igemm_plan, "SHARED_MEMORY", 24 * 1024)
    monkeypatch.setattr(igemm_plan, "best_tile", watched)
    igemm_plan.plan_conv.cache_clear()
    igemm_plan.plan_weight.cache_clear()
    try:
        for op, arrays, params in calls(rng, x, w, stride=stride, padding=padding, groups=1):
            check(gpu, op, arrays, params, "tf32")
    finally:
        igemm_plan.plan_conv.cache_clear()
        igemm_plan.plan_weight.cache_clear()
    assert True in rectangles or x[3] == 130


@pytest.mark.parametrize("precision", ["full", "tf32", "bf16"])
@pytest.mark.parametrize("processors", [4, 300])
def test_the_order_of_threads_and_the_size_of_tiles(gpu, rng, monkeypatch, precision, processors):
    """Threads run forward, then backward: the same bits. Few multiprocessors take large tiles, many take small ones."""
    monkeypatch.setattr(cuda, "multiprocessors", lambda: processors)
    for channels, filters in ((16, 16), (20, 40)):
        geometry = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
        for op, arrays, params in calls(rng, (5, 12, 9, channels), (3, 3, channels, filters), **geometry):
            check(gpu, op, arrays, params, precision)
            forward = run(gpu, op, arrays, params, precision)
            monkeypatch.setenv("TINYRES_EMULATION_ORDER", "reversed")
            backward = run(gpu, op, arrays, params, precision)
            monkeypatch.delenv("TINYRES_EMULATION_ORDER")
            results = 3 if op == "conv2d_stats" else 1
            for a, b in zip(*[(r,) if results == 1 else r for r in (forward, backward)], strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("precision", EACH)
def test_arrays_that_begin_anywhere(gpu, rng, precision):
    """Views into a flat buffer are aligned to four bytes, not to sixteen; the results' neighbours stay as they are."""

    def apart(shape):
        flat = gpu.full(int(np.prod(shape)) + 2, 7, np.float32)
        return flat, flat[1:-1].reshape(shape)

    for op, arrays, params in calls(rng, (2, 6, 5, 8), (3, 3, 8, 12), stride=1, padding=(1, 1, 1, 1), groups=1):
        given = []
        for array in arrays:
            given.append(apart(array.shape)[1])
            given[-1][...] = gpu.asarray(array)
        op = op.removesuffix("_stats")
        flat, out = apart(exact(op, arrays, params).shape)
        with use(**{op: f"cupy.igemm{PRECISIONS[precision].name}"}):
            launch(op, *given, out=out, **params)
        np.testing.assert_array_equal(out.get(), run(gpu, op, arrays, params, precision))
        assert flat.get()[0] == flat.get()[-1] == 7


def test_statistics_of_a_large_mean(gpu, rng):
    """A mean of a thousand deviations costs the variance no digits; launched again, and replayed, it says the same."""
    x = (1000 + rng.standard_normal((6, 20, 12, 4))).astype(np.float32)
    w = np.zeros((1, 1, 4, 20), np.float32)
    w[0, 0, rng.integers(0, 4, 20), np.arange(20)] = 1
    given, geometry = (gpu.asarray(x), gpu.asarray(w)), {"stride": 1, "padding": (0, 0, 0, 0), "groups": 1}
    with use(conv2d_stats="cupy.igemm"):
        once = [launch("conv2d_stats", *given, **geometry) for _ in range(2)]
        graph = cuda.capture(lambda: launch("conv2d_stats", *given, **geometry))
    for _ in range(2):
        graph.launch()
    cuda.synchronize()
    values = once[0][0].get().astype(np.float64).reshape(-1, 20)
    assert np.abs(values.mean(0) / values.std(0)).min() > 900
    for _, mean, variance in (*once, graph.result):
        np.testing.assert_allclose(mean.get(), values.mean(0), rtol=1e-7)
        np.testing.assert_allclose(variance.get(), values.var(0), rtol=1e-5)


@pytest.mark.parametrize("op", OPS)
def test_an_empty_batch(gpu, op):
    shapes = {"conv2d": (0, 5, 5, 3), "conv2d_stats": (0, 5, 5, 3), "conv2d_input": (0, 5, 5, 4)}
    x, w = gpu.zeros(shapes.get(op, (0, 5, 5, 3)), np.float32), gpu.zeros((3, 3, 3, 4), np.float32)
    geometry = {"stride": 1, "padding": (1, 1, 1, 1), "groups": 1}
    if op == "conv2d_stats":
        return  # has no statistics; its rule refuses it
    if op == "conv2d_weight":
        given, geometry = (x, gpu.zeros((0, 5, 5, 4), np.float32)), {"shape": (3, 3, 3, 4), **geometry}
    else:
        given = (x, w)
        geometry = {"shape": (0, 5, 5, 3), **geometry} if op == "conv2d_input" else geometry
    with use(**{op: "cupy.igemm_tf32"}):
        got = launch(op, *given, **geometry).get()
    np.testing.assert_array_equal(got, np.zeros_like(got))


ROUND = """
#include "common.cuh"
__global__ void rounded(const float* from, unsigned* to, unsigned* pairs, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) to[i] = to_tf32(from[i]), pairs[i] = to_bf16x2(from[i], from[(i + 1) % n]);
}
"""


def test_rounding(gpu, rng, tmp_path):
    """Halves go away from zero in TF32 and to even in bfloat16; zeros and infinities stay what they are."""
    bits = rng.integers(0, 2**32, 4000, dtype=np.uint32)
    ties = (
        (bits[:500] & np.uint32(0xFFFFE000)) | np.uint32(0x1000),
        (bits[:500] & np.uint32(0xFFFF0000)) | np.uint32(0x8000),
    )
    values = np.concatenate([bits, *ties]).view(np.float32)
    values = values[np.abs(values) < 1e38]
    values = np.concatenate([values, np.array([0, -0.0, 1, -1, np.inf, -np.inf, 1e-40], np.float32)])
    file = tmp_path / "round.cu"
    file.write_text(ROUND)
    tf32, pairs = (gpu.empty(len(values), np.uint32) for _ in range(2))
    cuda.launch(file, "rounded", -(-len(values) // 128), 128, gpu.asarray(values), tf32, pairs, np.int32(len(values)))
    finite = np.isfinite(values)
    assert finite.sum() > 4000
    np.testing.assert_array_equal(tf32.get()[finite], rounded(values, "tf32").view(np.uint32)[finite])
    np.testing.assert_array_equal(tf32.get()[~finite], values.view(np.uint32)[~finite])
    upper = rounded(values, "bf16").view(np.uint32) >> 16
    np.testing.assert_array_equal(pairs.get(), upper | np.roll(upper, -1) << 16)


@pytest.mark.parametrize("precision", ["3xtf32", "tf32", "bf16"])
def test_a_precision_that_the_card_lacks(gpu, monkeypatch, precision):
    monkeypatch.setattr(cuda, "capability", lambda: (7, 5))
    with pytest.raises(
        KernelError, match=rf"{precision}, which needs .* 8\.0, and this GPU has 7\.5; use 'cupy\.igemm'"
    ):
        registry.find("conv2d", f"cupy.igemm{PRECISIONS[precision].name}")
    assert registry.find("conv2d", "cupy.igemm").precision == "full"


def test_the_reason_without_a_gpu(monkeypatch):
    monkeypatch.setattr(cuda, "missing", lambda: "no NVIDIA driver is loaded")
    with pytest.raises(KernelError, match="not available: no NVIDIA driver is loaded"):
        registry.find("conv2d", "cupy.igemm_tf32")
