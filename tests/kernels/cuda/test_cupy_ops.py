"""Every op of the backend cupy on the emulated GPU, and on a real one where the marker `cuda` is asked for.

The contract's samples come first, then what they do not reach in batch norm: shapes that fill no block, thousands of
rows, values far from 0, threads that run backward; what the kernels need of a card; faults that must be seen.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinyres.conformance import DIFFERENTIABLE, NonconformingError, check_gradient, check_kernel, oracle
from tinyres.errors import KernelError
from tinyres.kernels import cuda
from tinyres.kernels.cuda import compile
from tinyres.kernels.naive import MODULES as OPS
from tinyres.kernels.on_cupy import MODULES

EPS = {"eps": 1e-5}
REGISTERS = 80  # with which three blocks of 256 threads fit on a multiprocessor
FAR = 1000.0  # deviations that the mean lies from 0


def test_every_op_has_a_kernel():
    assert set(MODULES) == set(OPS)


# Each type is a build of its own; the gate runs those of float64 apart.
KERNELS = [(op, "float32") for op in MODULES] + [pytest.param(op, "float64", marks=pytest.mark.slow) for op in MODULES]


@pytest.mark.parametrize(("op", "dtype"), KERNELS)
def test_kernel(gpu, op, dtype):
    assert check_kernel(op, "cupy", dtype).cases >= 1


QUICK = ("linear", "bn_relu", "bn_add_relu", "softmax_cross_entropy", "getitem")


@pytest.mark.parametrize(
    "op", [op if op in QUICK else pytest.param(op, marks=pytest.mark.slow) for op in DIFFERENTIABLE]
)
def test_gradient(gpu, op):
    assert check_gradient(op, "cupy") < 1e-6


# ---- batch norm ----------------------------------------------------------------------------------------------------
# rows and channels: fewer than a block has, one channel, no multiple of four, more than a tile of blocks takes
SHAPES = [(2, 1), (3, 7), (65, 33), (1025, 4), (300, 132), (2, 516), (4097, 3), (77, 16)]


def normed(rng, shape):
    """x away from 0, gamma, beta, shortcut and dy, in float32."""
    x = rng.standard_normal(shape) * rng.uniform(0.5, 2, shape[1]) + 3
    vectors = rng.uniform(0.5, 2, shape[1]), rng.standard_normal(shape[1])
    return [a.astype(np.float32) for a in (x, *vectors, rng.standard_normal(shape), rng.standard_normal(shape))]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm(run, rng, shape):
    x, gamma, beta, shortcut, dy = normed(rng, shape)
    results = run("bn_add_relu", x, gamma, beta, shortcut, **EPS)
    for got, right in zip(results, oracle("bn_add_relu", (x, gamma, beta, shortcut), EPS), strict=True):
        np.testing.assert_allclose(got, right, rtol=2e-5, atol=2e-5)
    y, mean, variance = results
    arrays = dy, y, x, gamma, mean, variance
    gradients = run("bn_add_relu_gradient", *arrays, **EPS)
    for got, right in zip(gradients, oracle("bn_add_relu_gradient", arrays, EPS), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-4, atol=2e-5 * max(1, np.abs(right).max()))


@pytest.mark.parametrize("shape", [(4097, 8), (515, 5)], ids=str)
@pytest.mark.parametrize(("outlier", "digits"), [(0, 2e-6), (50, 1e-4)])
def test_statistics_far_from_zero(run, rng, shape, outlier, digits):
    """A mean a thousand deviations away, and a pivot that is far from all others: the variance keeps its digits."""
    x = (FAR + rng.standard_normal(shape)).astype(np.float32)
    x[0] += outlier
    _, mean, variance = run("batch_norm", x, np.ones(shape[1], "f4"), np.zeros(shape[1], "f4"), **EPS)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(0), rtol=1e-7)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=digits)


def test_the_mask_is_that_of_the_forward_pass(run, rng):
    """Recomputed from x, at values whose rounding decides: exactly where y > 0."""
    x, gamma, beta, *_ = normed(rng, (3000, 4))
    gamma[:], beta[:] = 1e-3, -1e-7  # many y within rounding of 0
    y, mean, variance = run("bn_relu", x, gamma, beta, **EPS)
    dy = np.ones_like(x)
    by_mask = run("bn_relu_gradient", dy, x, gamma, beta, mean, variance, **EPS)
    by_output = run("batch_norm_gradient", (y > 0).astype(np.float32), x, gamma, mean, variance, **EPS)
    for a, b in zip(by_mask, by_output, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("op", ["batch_norm", "bn_add_relu_gradient", "sum", "softmax_cross_entropy", "linear"])
def test_threads_in_another_order_give_the_same_bits(run, rng, op, monkeypatch):
    if not cuda.emulated():
        pytest.skip("the order of threads is the emulation's to choose")
    x, gamma, beta, shortcut, dy = normed(rng, (515, 12))
    calls = {
        "batch_norm": ((x, gamma, beta), EPS),
        "bn_add_relu_gradient": ((dy, shortcut, x, gamma, beta, abs(gamma)), EPS),
        "sum": ((x,), {"axis": 0, "keepdims": False}),
        "softmax_cross_entropy": ((x, rng.integers(0, 12, 515)), {}),
        "linear": ((x, rng.standard_normal((12, 10)).astype("f4"), np.ones(10, "f4")), {}),
    }
    arrays, params = calls[op]
    forward = run(op, *arrays, **params)
    monkeypatch.setenv("TINYRES_EMULATION_ORDER", "reversed")
    for a, b in zip(forward, run(op, *arrays, **params), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- what they need of a card --------------------------------------------------------------------------------------
def test_nothing_spills(gpu, monkeypatch):
    """Registers and spills of every kernel of batch norm as compiled for an H100; of the others see below."""
    needs = compiled_for("sm_90", ("batch_norm", "bn_relu", "bn_add_relu"), monkeypatch)
    assert len(needs) == 8
    assert all(need.registers <= REGISTERS and not need.spilled for need in needs.values()), needs


@pytest.mark.slow
@pytest.mark.parametrize("architecture", compile.ARCHITECTURES)
def test_every_kernel_compiles(gpu, architecture, monkeypatch):
    needs = compiled_for(architecture, MODULES, monkeypatch)
    assert len(needs) > 25
    most = 128 if architecture == "sm_120" else REGISTERS  # its compiler takes more: two blocks of 256 threads fit
    assert all(need.registers <= most and not need.spilled for need in needs.values()), needs


def compiled_for(architecture, wanted, monkeypatch):
    """What each kernel needs that the contracts of these ops and of their gradients launch in float32."""
    if not cuda.emulated() or compile.missing():
        pytest.skip("the kernels are found in emulation, and compiled by cuda-core")
    launched, original = set(), cuda.launch
    monkeypatch.setattr(cuda, "launch", lambda *a, **kw: (launched.add(a[:2]), original(*a, **kw)))
    for op in MODULES:
        if op.removesuffix("_gradient") in wanted or op in wanted:
            check_kernel(op, "cupy")
    return {each: compile.compiled(*each, architecture) for each in launched}


# ---- faults --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("file", "op", "right", "wrong"),
    [
        # threads read what others have not written yet
        ("bn.cuh", "batch_norm", "  for (int left = at.lanes; left > 1;) {", "  for (int left = 0; left > 1;) {"),
        (
            "bn.cuh",
            "batch_norm_gradient",
            "    __syncthreads();\n    if (at.lane < left - half)",
            "    if (at.lane < left - half)",
        ),
        # a run of rows that ends too early; terms left out; an index off by one
        pytest.param(
            "bn.cuh",
            "bn_relu",
            "row < at.stop; row += at.lanes",
            "row + 1 < at.stop; row += at.lanes",
            marks=pytest.mark.slow,
        ),
        pytest.param("bn.cuh", "bn_relu_gradient", "output[k] > T(0) ?", "output[k] > T(-1) ?", marks=pytest.mark.slow),
        ("gemm.cuh", "linear", "depth + bk < k ?", "depth + bk < k - 1 ?"),
        pytest.param("shortcut.cuh", "pad_shortcut", "channel < c ?", "channel <= c ?", marks=pytest.mark.slow),
        ("loss.cuh", "softmax_cross_entropy", "(own[label] - row.largest)", "own[label]"),
        pytest.param("batch.cuh", "next_batch", "w - 1 - j : j", "w - j : j", marks=pytest.mark.slow),
        ("im2col.cuh", "conv2d_input", "down % stride || across % stride", "down % stride"),
    ],
)
def test_planted_faults_are_seen(gpu, file, op, right, wrong, monkeypatch, tmp_path):
    if not cuda.emulated():
        pytest.skip("faults are planted where they harm nobody")
    text = cuda.text(file)
    assert text.count(right) >= 1
    (tmp_path / file).write_text(text.replace(right, wrong))
    original = cuda.launch

    def launched(name, *arguments, **settings):
        original(tmp_path / file if name == file else name, *arguments, **settings)

    monkeypatch.setattr(cuda, "launch", launched)
    with pytest.raises((NonconformingError, KernelError)):
        check_kernel(op, "cupy")
