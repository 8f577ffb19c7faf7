"""What a step on the GPU does besides convolution and batch norm: odd sizes, NaN, results in place, the Loader's bits.

In emulation, and on a real GPU where the marker `cuda` is asked for.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import models, ops, use
from tinyres.conformance import oracle
from tinyres.data import Loader, Split, permutation
from tinyres.kernels import cuda, launch, registry
from tinyres.kernels.launch import moved, on_host
from tinyres.kernels.on_cupy import conv


@pytest.mark.parametrize("count", [1, 3, 4, 1023, 5001])
def test_elementwise(run, rng, count):
    a, b = rng.standard_normal((2, count)).astype(np.float32)
    np.testing.assert_array_equal(run("add", a, b)[0], a + b)
    np.testing.assert_array_equal(run("relu", a)[0], np.maximum(a, 0))
    np.testing.assert_array_equal(run("add_relu", a, b)[0], np.maximum(a + b, 0))
    np.testing.assert_array_equal(run("relu_gradient", a, b)[0], np.where(b > 0, a, 0))


def test_what_is_no_number_passes_a_relu(run):
    a = np.array([np.nan, -np.inf, np.inf, -1, 2], np.float32)
    for op, arrays in (("relu", (a,)), ("add_relu", (a, np.zeros(5, "f4")))):
        np.testing.assert_array_equal(run(op, *arrays)[0], [np.nan, 0, np.inf, 0, 2])


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (33, 17, 31), (5, 100, 65)])
@pytest.mark.parametrize("turned", [(), (0,), (0, 1)])
def test_products_of_views(gpu, rng, m, k, n, turned):
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    on_gpu = [
        moved(np.ascontiguousarray(x.T), "cuda").T if i in turned else moved(x, "cuda") for i, x in enumerate((a, b))
    ]
    with use(matmul="cupy"):
        np.testing.assert_allclose(on_host(launch("matmul", *on_gpu)), a @ b, atol=1e-12)


@pytest.mark.parametrize(("shape", "axis"), [((4099, 6), 0), ((3, 5, 300), (0, 1)), ((7, 11), None), ((513, 8), 0)])
def test_sums_over_leading_axes(run, rng, shape, axis):
    x = rng.standard_normal(shape).astype(np.float32)
    for op in ("sum", "mean"):
        right = getattr(np, op)(x.astype(np.float64), axis)
        got = run(op, x, axis=axis, keepdims=False)[0]
        np.testing.assert_allclose(got, right, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("n", "k"), [(128, 10), (1, 2), (37, 100), (600, 3)])
def test_loss(run, rng, n, k):
    logits, labels = 20 * rng.standard_normal((n, k)).astype(np.float32), rng.integers(0, k, n)
    logits[0] += 1e4  # exp of it would overflow
    for dtype in (np.int64, np.int32, np.uint8):
        loss = run("softmax_cross_entropy", logits, labels.astype(dtype))[0]
        np.testing.assert_allclose(loss, *oracle("softmax_cross_entropy", (logits, labels), {}), rtol=1e-6, atol=1e-6)
    gradient = run("softmax_cross_entropy_gradient", np.asarray(loss), logits, labels)[0]
    right = oracle("softmax_cross_entropy_gradient", (np.asarray(loss), logits, labels), {})[0]
    np.testing.assert_allclose(gradient, right, atol=1e-6)


def test_a_label_that_is_no_class_reads_nothing(gpu):
    """Only in a captured step can one get here: the rules of the op look at labels before."""
    logits, out = moved(np.zeros((2, 3), "f4"), "cuda"), moved(np.zeros((), "f4"), "cuda")
    kernel = registry.find("softmax_cross_entropy", "cupy").function
    for wrong in (-1, 3, 1 << 40):
        kernel(logits, moved(np.array([1, wrong]), "cuda"), out=out)
        assert np.isnan(on_host(out))


@pytest.mark.parametrize("classes", [3, 45])
def test_the_log_counts_as_numpy_does(gpu, rng, classes):
    logits = rng.integers(-2, 3, (70, classes)).astype(np.float32)  # many are equal
    logits[rng.uniform(size=logits.shape) < 0.02] = np.nan
    labels = rng.integers(0, classes, 70)
    at, losses, wrong = (moved(a, "cuda") for a in (np.array([4]), np.full(3, 9, "f4"), np.full(3, -1)))
    with use(log_step="cupy"):
        arrays = moved(np.asarray(2.5, "f4"), "cuda"), moved(logits, "cuda"), moved(labels, "cuda"), at, losses, wrong
        launch("log_step", *arrays, out=(at, losses, wrong))
    assert on_host(at).tolist() == [5]
    assert on_host(losses).tolist() == [9, 2.5, 9]
    assert on_host(wrong).tolist() == [-1, np.count_nonzero(logits.argmax(1) != labels), -1]


def test_the_rate_may_lie_on_the_gpu(gpu, rng):
    settings = {"momentum": 0.9, "weight_decay": 0.1, "nesterov": False}
    w, v, g = (moved(rng.standard_normal(1027).astype("f4"), "cuda") for _ in range(3))
    with use(sgd="cupy"):
        by_number = launch("sgd", w, v, g, lr=0.3, **settings)
        for dtype in (np.float32, np.float64):
            rate = moved(np.array([0.3], dtype), "cuda")
            for a, b in zip(by_number, launch("sgd", w, v, g, lr=rate, **settings), strict=True):
                np.testing.assert_array_equal(on_host(a), on_host(b))
        launch("sgd", w, v, g, lr=0.3, out=(w, v), **settings)
    for here, there in zip((w, v), by_number, strict=True):
        np.testing.assert_array_equal(on_host(here), on_host(there))


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("settings", [{"padding": 2, "flip": True}, {"padding": 0, "flip": False}], ids=str)
def test_batches_are_those_of_the_loader(gpu, rng, settings, dtype):
    """Bit for bit, over three epochs whose last batches are shorter."""
    split = Split(rng.integers(0, 256, (13, 7, 6, 3), dtype=np.uint8), rng.integers(0, 10, 13))
    settings = settings | {"scale": 1 / 255, "batch": 5, "seed": 0xC0FFEE_DEADBEEF}
    loader = Loader(split, mean=rng.uniform(0, 1, (7, 6, 3)), dtype=dtype, **settings)
    images, labels, mean = (moved(a, "cuda") for a in (split.images, split.labels, loader.mean))
    step = 0
    for epoch in range(3):
        orders = [permutation(loader.seed, e, 13) for e in (epoch, epoch + 1)]
        order = moved(np.stack(orders if epoch % 2 == 0 else orders[::-1]), "cuda")
        for x, own in loader.batches(epoch):
            with use(next_batch="cupy"):
                arrays = images, labels, order, mean, moved(np.array([step]), "cuda")
                drawn = launch("next_batch", *arrays, count=len(x), per_epoch=loader.steps_per_epoch, **settings)
            assert on_host(drawn[0]).tobytes() == x.tobytes()
            np.testing.assert_array_equal(on_host(drawn[1]), own)
            step += 1


def test_indices_of_any_type(run, rng):
    """What comes as int32 or uint8 is what comes as int64."""
    images, mean = rng.integers(0, 256, (9, 4, 5, 3), dtype=np.uint8), np.zeros((4, 5, 3), np.float32)
    index, top, left, flip = rng.integers(0, 9, 6), *rng.integers(0, 3, (2, 6)), rng.integers(0, 2, 6) > 0
    settings = {"scale": 1 / 255, "padding": 1}
    right = oracle("augment", (images, index, mean, top, left, flip), settings)[0]
    for dtype in (np.int64, np.int32, np.uint8):
        drawn = run(
            "augment", images, index.astype(dtype), mean, top.astype(dtype), left.astype(dtype), flip, **settings
        )
        np.testing.assert_allclose(drawn[0], right, atol=1e-7)


def test_running_averages_in_place(gpu, rng):
    running, batch = ([moved(a, "cuda") for a in rng.standard_normal((2, 300)).astype("f4")] for _ in range(2))
    settings = {"momentum": 0.3, "scale": 1.25}
    with use(running_averages="cupy"):
        apart = launch("running_averages", *running, *batch, **settings)
        launch("running_averages", *running, *batch, **settings, out=tuple(running))
    for here, there in zip(running, apart, strict=True):
        np.testing.assert_array_equal(on_host(here), on_host(there))


def test_maxima_in_other_channels_and_shared_ones(run, rng):
    """Many results that share a place, some of another channel: all are added, twice to the same bits."""
    place, dy = rng.integers(0, 3 * 2 * 5, (2, 9, 4, 5)), rng.standard_normal((2, 9, 4, 5)).astype(np.float32)
    first, again = (run("max_pool2d_gradient", dy, place, shape=(2, 3, 2, 5))[0] for _ in range(2))
    np.testing.assert_allclose(first, oracle("max_pool2d_gradient", (dy, place), {"shape": (2, 3, 2, 5)})[0], atol=1e-5)
    np.testing.assert_array_equal(first, again)


def test_a_convolution_in_chunks(run, rng, monkeypatch):
    """Columns of one image at a time give what all of them give."""
    x, w = rng.standard_normal((5, 6, 7, 4)), rng.standard_normal((3, 2, 2, 6))
    geometry = {"stride": 2, "padding": (1, 0, 2, 1), "groups": 2}
    y = oracle("conv2d", (x, w), geometry)[0]
    calls = [
        ("conv2d", (x, w), {}),
        ("conv2d_input", (y, w), {"shape": x.shape}),
        ("conv2d_weight", (x, y), {"shape": w.shape}),
    ]
    for op, arrays, shape in calls:
        whole = run(op, *arrays, **geometry, **shape)[0]
        with monkeypatch.context() as patch:
            patch.setattr(conv, "COLUMN_BYTES", 1)
            assert len(list(conv._Columns(x.shape, w.shape, y.shape, 2, (1, 0, 2, 1), 2).chunks(8))) == 5
            np.testing.assert_allclose(run(op, *arrays, **geometry, **shape)[0], whole, atol=1e-11)


# ---- in a graph ----------------------------------------------------------------------------------------------------
def test_a_captured_op_gives_the_same_bits(gpu, rng):
    """Each of the ops of a step, with what its wrapper allocates, launched twice from a graph."""
    x, shortcut, dy = (moved(a, "cuda") for a in rng.standard_normal((3, 260, 8)).astype("f4"))
    gamma, beta = (moved(a, "cuda") for a in rng.uniform(0.5, 2, (2, 8)).astype("f4"))
    images, logits, labels = (
        moved(rng.standard_normal((3, 5, 4, 8)), "cuda"),
        x[:9],
        moved(rng.integers(0, 8, 9), "cuda"),
    )
    one = moved(np.ones((), "f4"), "cuda")
    steps = {
        "bn_relu": lambda: launch("bn_relu", x, gamma, beta, eps=1e-5),
        "bn_add_relu_gradient": lambda: launch("bn_add_relu_gradient", dy, shortcut, x, gamma, beta, gamma, eps=1e-5),
        "sum": lambda: launch("sum", x, axis=(0,), keepdims=False),
        "matmul": lambda: launch("matmul", x.T, dy),
        "pad_shortcut": lambda: launch("pad_shortcut", images, channels=11, stride=2),
        "global_avg_pool": lambda: launch("global_avg_pool", images),
        "max_pool2d": lambda: launch("max_pool2d", images, kernel=3, stride=2, padding=1),
        "softmax_cross_entropy": lambda: launch("softmax_cross_entropy", logits, labels),
        "softmax_cross_entropy_gradient": lambda: launch("softmax_cross_entropy_gradient", one, logits, labels),
        "dropout": lambda: launch("dropout", x, p=0.3, seed=1, step=2),
    }
    for op, step in steps.items():
        with use(**{op: "cupy"}):
            eager, graph = step(), cuda.capture(step)
        for _ in range(2):
            graph.launch()
            cuda.synchronize()
            pairs = zip(*(r if isinstance(r, tuple) else (r,) for r in (eager, graph.result)), strict=True)
            assert all(on_host(a).tobytes() == on_host(b).tobytes() for a, b in pairs), op


# ---- a net ---------------------------------------------------------------------------------------------------------
def gradients(device, **choice):
    """Loss and gradients of a ResNet-20 in float64."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((3, 9, 8, 3)), rng.integers(0, 10, 3)
    net = models.create("resnet20", seed=1).astype(np.float64).to(device).train()
    with use(**choice):
        loss = ops.softmax_cross_entropy(net(moved(x, device)), moved(labels, device))
        loss.backward()
    return [on_host(loss.data), *(on_host(p.grad.data) for p in net.parameters())]


def test_a_net_has_the_gradients_that_it_has_on_the_cpu(gpu):
    """With the readable convolution everywhere; and twice the same bits."""
    choice = {"conv": "cupy", "conv2d_stats": "cupy"}
    first, again, right = gradients("cuda", **choice), gradients("cuda", **choice), gradients("cpu")
    for got, same, wanted in zip(first, again, right, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-11 * np.abs(wanted).max())
        np.testing.assert_array_equal(got, same)


def test_no_copy_from_the_host_is_captured(gpu, monkeypatch):
    """A real GPU would capture the address of memory that is given to others, and say nothing."""
    x, dy = moved(np.arange(6.0), "cuda"), moved(np.ones(2), "cuda")
    monkeypatch.setattr(cuda, "capturing", lambda: True)
    with pytest.raises(cuda.NotCapturable, match="a copy from the host cannot be part of a CUDA graph"):
        moved(np.ones(2), "cuda")
    for op, array, more in (("getitem", x, {}), ("getitem_gradient", dy, {"shape": (6,)})):
        with pytest.raises(cuda.NotCapturable, match="a copy from the host"):
            launch(op, array, index=(np.array([4, 4]),), **more)
    assert moved(x, "cuda") is x
    assert launch("getitem", x, index=(slice(2, 4),)).shape == (2,)
