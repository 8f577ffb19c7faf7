"""Every kernel of the table against the oracle, and the derivatives of every op on every backend.

The table itself yields these tests: a backend or a kernel that is added joins them by being there.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import conformance, ops
from tinyres.conformance import DIFFERENTIABLE, NonconformingError, check_gradient, check_kernel
from tinyres.errors import GradientError, KernelError
from tinyres.kernels import registry
from tinyres.kernels.backends import backend_of, modules
from tinyres.kernels.contracts import CONTRACTS
from tinyres.kernels.shapes import RULES

# Those of a GPU are held against the oracle in `cuda/`.
ON_CPU = [name for name in registry.own_names() if registry.backend(backend_of(name)).DEVICE == "cpu"]
KERNELS = [(op, name) for op in registry.ops() for name in ON_CPU if name in registry.names(op)]
GRADIENTS = [(op, name) for op in DIFFERENTIABLE for name in ON_CPU if name in registry.names(op)]


def available(op, name):
    try:
        return registry.find(op, name)
    except KernelError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def enter(own_kernels):
    """Enter kernels into the table for one test."""
    return own_kernels.kernel


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "name"), KERNELS)
def test_kernel(op, name, dtype):
    if dtype in available(op, name).dtypes:
        verdict = check_kernel(op, name, dtype)
        assert verdict.cases >= 1


@pytest.mark.parametrize(("op", "backend"), GRADIENTS)
def test_gradient(op, backend):
    available(op, backend)
    assert check_gradient(op, backend) < 1e-6


def test_every_op_has_a_rule_a_contract_and_a_readable_kernel():
    assert set(registry.ops()) == set(RULES) == set(CONTRACTS)
    for op in registry.ops():  # a fusion that pays on a GPU alone is composed of readable ones elsewhere
        assert "numpy" in registry.names(op) or op in ("conv2d_stats", "bn_relu_eval", "bn_add_relu_eval")


def test_every_public_op_has_its_derivatives_checked():
    helpers = {"conv2d_input", "conv2d_weight", "to"}  # checked as the first derivative of conv2d; moves, no kernel
    named = {"batch_norm_eval" if name == "batch_norm" else name for name in ops.__all__} - helpers
    assert named <= set(DIFFERENTIABLE)


def test_the_map_of_each_backend_names_what_its_modules_enter():
    for name in ON_CPU:
        for op in modules(name):
            assert registry.find(op, name).function.__module__.startswith("tinyres.kernels")


def sees(error, op, function, enter, **declared):
    enter(op, "planted", **declared)(function)
    with pytest.raises(NonconformingError, match=error):
        check_kernel(op, "planted")


def test_a_wrong_value_is_caught_and_located(enter):
    def relu(x):
        y = np.maximum(x, 0)
        return np.where(y == y.max(), y + 1e-3, y) if x.ndim == 3 else y

    sees(r"kernel 'planted' of relu, case \(3, 5, 2\).* at \[", "relu", relu, enter)


def test_nan_is_caught(enter):
    sees("nan", "neg", lambda x: x * np.nan, enter)


def test_a_kernel_that_writes_to_its_input_is_caught(enter):
    def relu(x):
        x[x < 0] = 0
        return x

    sees("changed its inputs", "relu", relu, enter, strided=True)


def test_a_kernel_that_differs_from_run_to_run_is_caught(enter):
    runs = iter(range(1000))
    sees("two runs", "neg", lambda x: -x + next(runs), enter)


def test_float32_accuracy_in_float64_is_caught(enter):
    enter("exp", "planted")(lambda x: np.exp(x.astype(np.float32)).astype(x.dtype))
    assert check_kernel("exp", "planted", "float32").error < 1e-6
    with pytest.raises(NonconformingError):
        check_kernel("exp", "planted", "float64")


def test_a_wrong_derivative_is_caught(enter, monkeypatch):
    monkeypatch.setattr("tinyres.ops.activation.Tanh.backward", lambda self, dy: dy * (1.0 - self.y))
    with pytest.raises(GradientError, match="input 0"):
        check_gradient("tanh", "numpy")


def test_a_wrong_second_derivative_is_caught(monkeypatch):
    monkeypatch.setattr(
        "tinyres.ops.conv.Conv2dWeight.backward",
        lambda self, ddw: (None, ops.conv2d(self.x, ddw, **{k: v for k, v in self.geometry.items() if k != "shape"})),
    )
    with pytest.raises(GradientError):
        check_gradient("conv2d", "numpy")


def test_operation_and_byte_counts():
    rng = np.random.default_rng(0)
    case = next(iter(CONTRACTS["conv2d"].cases(rng)))  # 2x7x5x3 by 3x3x3x4, padded: 2*7*5*4 values of 27 terms
    assert CONTRACTS["conv2d"].operations(case) == 2 * (2 * 7 * 5 * 4) * 27
    assert CONTRACTS["conv2d"].bytes(case, "float32") == 4 * (2 * 7 * 5 * 3 + 27 * 4 + 2 * 7 * 5 * 4)
    for name in ("conv2d_input", "conv2d_weight"):  # the same products, whichever array is wanted
        assert CONTRACTS[name].operations(next(iter(CONTRACTS[name].cases(rng)))) == CONTRACTS["conv2d"].operations(
            case
        )


def test_verdict_reports_the_sample_nearest_to_its_limit():
    verdict = conformance.check_kernel("conv2d", "numpy")
    assert 0 < verdict.error <= verdict.allowed
