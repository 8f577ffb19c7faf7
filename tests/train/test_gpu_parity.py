"""The same net, weights and batches on both devices: gradients and losses agree to the precision of the arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinyres.data import load
from tinyres.kernels import cuda, registry
from tinyres.models import create
from tinyres.nn import Module
from tinyres.ops import softmax_cross_entropy
from tinyres.optim import SGD
from tinyres.tensor import Tensor
from tinyres.train.device import KERNELS, Precision

# Largest error of a gradient, relative to its norm. Products that are rounded to eps change which ReLUs are on:
# a fraction of about eps of them in each layer, each of which is wrong altogether. So gradients are off by some
# sqrt(layers eps), far more than losses: measured for resnet20, 6 to 18 % in tf32 (eps 3e-4) and 1e-6 in fp32.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "3xtf32": 1e-4, "tf32": 5e-2, "bf16": 2.5e-1}


pytestmark = pytest.mark.usefixtures("gpu")


def batch(count: int, dtype: Any, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    digits = load("digits").train
    images = digits.images[first : first + count] / 16 - 0.3
    return images.astype(dtype), digits.labels[first : first + count]


def gradients(model: Module, x: Any, labels: Any) -> tuple[float, dict[str, np.ndarray]]:
    for parameter in model.parameters():
        parameter.grad = None
    loss = softmax_cross_entropy(model(Tensor(x)), labels)
    loss.backward()
    found = {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}
    return loss.item(), found


def distance(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """The largest relative error among some gradients."""
    assert got.keys() == expected.keys()
    return max(float(np.linalg.norm(got[name] - g) / np.linalg.norm(g)) for name, g in expected.items())


@pytest.mark.parametrize(
    ("model", "precision", "dtype", "shortcut"),
    [
        ("resnet8", "fp32", "float32", "A"),
        ("resnet8", "tf32", "float32", "A"),
        pytest.param("resnet8", "3xtf32", "float32", "B", marks=pytest.mark.slow),
        pytest.param("resnet8", "bf16", "float32", "C", marks=pytest.mark.slow),
        pytest.param("plain8", "fp32", "float64", "default", marks=pytest.mark.slow),
        pytest.param("resnet20", "fp32", "float32", "A", marks=pytest.mark.slow),
    ],
)
def test_gradients(model: str, precision: Precision, dtype: Any, shortcut: str) -> None:
    x, labels = batch(5, dtype)
    here, there = (create(model, shortcut=shortcut, num_classes=10, in_channels=1).astype(dtype) for _ in range(2))
    there.to("cuda")
    loss, expected = gradients(here, x, labels)
    with registry.preferring(KERNELS[precision]):
        xp = cuda.module()
        other, got = gradients(there, xp.asarray(x), xp.asarray(labels))
    tolerance = 1e-10 if dtype == "float64" else TOLERANCE[precision]
    assert other == pytest.approx(loss, rel=tolerance)
    assert distance(got, expected) < tolerance
    for (name, one), (_, two) in zip(here.named_buffers(), there.named_buffers(), strict=True):
        np.testing.assert_allclose(two.get(), one, rtol=tolerance, atol=tolerance, err_msg=name)


def rounded(array: np.ndarray, precision: str) -> np.ndarray:
    """To the nearest number with the 10 bits of tf32 (ties away from zero) or the 7 of bf16 (ties to even)."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    if precision == "tf32":
        return (bits + np.uint32(0x1000) & np.uint32(0xFFFFE000)).view(np.float32)
    odd = bits >> np.uint32(16) & np.uint32(1)
    return (bits + np.uint32(0x7FFF) + odd & np.uint32(0xFFFF0000)).view(np.float32)


@pytest.mark.parametrize("precision", ["tf32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_what_a_reduced_precision_does_is_rounding_and_nothing_else(precision: Precision, own_kernels: Any) -> None:
    """Beside a CPU whose convolutions round their inputs as the tensor cores do, all gradients are those of the GPU."""
    x, labels = batch(5, np.float32)
    for op in registry.GROUPS["conv"]:
        exact = registry.find(op, "numpy").function

        def kernel(a: Any, b: Any, *, out: Any, exact: Any = exact, **geometry: Any) -> None:
            exact(rounded(a, precision), rounded(b, precision), out=out, **geometry)

        own_kernels.kernel(op, "rounding")(kernel)
    here, there = (create("resnet8", num_classes=10, in_channels=1) for _ in range(2))
    with registry.use(conv="rounding"):
        _, expected = gradients(here, x, labels)
    there.to("cuda")
    with registry.preferring(KERNELS[precision]):
        _, got = gradients(there, cuda.module().asarray(x), cuda.module().asarray(labels))
    assert distance(got, expected) < 5e-3, "a tenth of what the rounding itself does, or less"


@pytest.mark.slow
def test_twenty_steps() -> None:
    """Losses of the two devices stay together while training is young; later curves are chaotic."""
    here = create("resnet8", num_classes=10, in_channels=1)
    there = create("resnet8", num_classes=10, in_channels=1).to("cuda")
    losses: list[list[float]] = [[], []]
    optimizers = [SGD(net.parameters(), 0.01) for net in (here, there)]
    with registry.preferring(KERNELS["fp32"]):
        for step in range(20):
            x, labels = batch(4, np.float32, 4 * step)
            xp = cuda.module()
            for net, optimizer, told, arrays in (
                (here, optimizers[0], losses[0], (x, labels)),
                (there, optimizers[1], losses[1], (xp.asarray(x), xp.asarray(labels))),
            ):
                told.append(gradients(net, *arrays)[0])
                optimizer.step()
    assert len(set(losses[0])) == 20
    np.testing.assert_allclose(losses[1], losses[0], rtol=5e-3)
    np.testing.assert_allclose(losses[1][:5], losses[0][:5], rtol=1e-5)


def test_the_same_step_twice_is_the_same_to_the_last_bit() -> None:
    x, labels = batch(6, np.float32)
    states = []
    for _ in range(2):
        net = create("resnet8", num_classes=10, in_channels=1).to("cuda")
        with registry.preferring(KERNELS["tf32"]):
            xp = cuda.module()
            _, found = gradients(net, xp.asarray(x), xp.asarray(labels))
        states.append({**found, **net.state_dict()})
    for name, array in states[0].items():
        np.testing.assert_array_equal(states[1][name], array, err_msg=name)
