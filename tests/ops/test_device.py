"""From one device to the other, and batch norm that takes its moments from the convolution."""

from __future__ import annotations

import numpy as np
import pytest

import tinyres
from tinyres import Tensor, ops
from tinyres.errors import DeviceError
from tinyres.kernels import cuda, registry
from tinyres.kernels.launch import launch
from tinyres.nn import BatchNorm2d, Conv2d


@pytest.fixture
def emulated(monkeypatch):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    if reason := cuda.missing():
        pytest.skip(reason)


def test_there_and_back(emulated, rng):
    x = Tensor(rng.standard_normal((2, 3)), requires_grad=True)
    there = ops.to(x, "cuda")
    assert there.device == "cuda"
    assert ops.to(there, "cuda") is there
    back = ops.to(there, "cpu")
    np.testing.assert_array_equal(back.numpy(), x.numpy())
    cotangent = rng.standard_normal((2, 3))
    back.backward(cotangent)
    np.testing.assert_array_equal(x.grad.numpy(), cotangent)


def test_an_unknown_device_is_named():
    with pytest.raises(DeviceError, match="no device 'far away'; known: cpu, cuda"):
        ops.to(np.ones(2), "far away")


def test_without_a_gpu_one_sentence_says_why(monkeypatch):
    monkeypatch.setattr(cuda, "missing", lambda: "the moon is full")
    with pytest.raises(DeviceError, match=r"^there is no GPU to use: the moon is full\.$"):
        ops.to(np.ones(2), "cuda")


def test_devices_are_never_mixed_silently(emulated):
    with pytest.raises(DeviceError, match=r"add: array 0 is on cuda and array 1 on cpu"):
        ops.add(ops.to(np.ones(2), "cuda"), np.ones(2))


@pytest.fixture
def with_moments(own_kernels, monkeypatch):
    """Kernels of the fusions that only a GPU has, made of the CPU's, and a count of their calls."""
    calls = []

    def enter(op, function):
        own_kernels.kernel(op, "counted")(lambda *arrays, **params: calls.append(op) or function(*arrays, **params))

    def stats(x, w, **geometry):
        y = launch("conv2d", x, w, **geometry)
        axes = tuple(range(y.ndim - 1))
        return y, y.mean(axes), y.var(axes)

    enter("conv2d_stats", stats)
    enter("bn_relu_eval", lambda *a, eps: np.maximum(launch("batch_norm_eval", *a, eps=eps), 0))
    enter("bn_add_relu_eval", lambda *a, eps: np.maximum(launch("batch_norm_eval", *a[:5], eps=eps) + a[5], 0))
    chosen = dict.fromkeys(("conv2d_stats", "bn_relu_eval", "bn_add_relu_eval"), "counted")
    return chosen, calls


def pair(relu, shortcut):
    """A convolution and its batch norm as a function of x, with all gradients as arrays."""

    def run(x, cotangent):
        conv, bn = Conv2d(3, 4, 3, padding=1, normed=True).astype("float64"), BatchNorm2d(4).astype("float64")
        rng = np.random.default_rng(1)
        for p in (*conv.parameters(), *bn.parameters()):
            p.data[...] = rng.standard_normal(p.shape)
        x = Tensor(x, requires_grad=True)
        beside = Tensor(rng.standard_normal((2, 5, 6, 4)), requires_grad=True) if shortcut else None
        y = bn(conv(x), relu=relu, shortcut=beside)
        y.backward(cotangent)
        leaves = [x, *conv.parameters(), *bn.parameters(), *([beside] if shortcut else [])]
        return [y.numpy(), bn.running_mean, bn.running_var, *(leaf.grad.numpy() for leaf in leaves)]

    return run


@pytest.mark.parametrize(
    ("relu", "shortcut", "used"),
    [
        (False, False, ["conv2d_stats"]),
        (True, False, ["conv2d_stats", "bn_relu_eval"]),
        (True, True, ["conv2d_stats", "bn_add_relu_eval"]),
    ],
)
def test_moments_of_the_convolution_change_nothing(with_moments, rng, relu, shortcut, used):
    chosen, calls = with_moments
    x, cotangent = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((2, 5, 6, 4))
    plain = pair(relu, shortcut)(x, cotangent)
    assert calls == []
    with tinyres.use(**chosen):
        fused = pair(relu, shortcut)(x, cotangent)
    assert calls == used
    for a, b in zip(plain, fused, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10)


def test_a_kernel_chosen_for_a_part_runs(with_moments, own_kernels, rng):
    chosen, calls = with_moments
    own_kernels.kernel("bn_relu", "mine")(registry.find("bn_relu", "numpy").function)
    x, cotangent = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((2, 5, 6, 4))
    with tinyres.use(**{**chosen, "conv2d_stats": "composed"}, bn_relu="mine"):
        pair(True, False)(x, cotangent)
    assert calls == []


def test_evaluation_fuses_only_where_nothing_is_differentiated(with_moments, rng):
    chosen, calls = with_moments
    bn = BatchNorm2d(3)
    bn.eval()
    x, shortcut = (rng.standard_normal((2, 4, 5, 3)).astype(np.float32) for _ in range(2))
    with tinyres.use(**chosen):
        differentiable = [bn(x, relu=True), bn(x, relu=True, shortcut=shortcut)]
        assert calls == []
        with tinyres.no_grad():
            alone = [bn(x, relu=True), bn(x, relu=True, shortcut=shortcut)]
    assert calls == ["bn_relu_eval", "bn_add_relu_eval"]
    for a, b in zip(differentiable, alone, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-6, atol=1e-6)
