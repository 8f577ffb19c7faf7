"""Softmax cross-entropy: its value by the definition, extreme logits, and labels that do not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinyres import Tensor, grad, ops, use
from tinyres.errors import DtypeError, ShapeError

BACKENDS = ["naive", "numpy", "numba"]


def test_by_the_definition(rng):
    logits, labels = rng.standard_normal((5, 4)), np.array([3, 0, 0, 1, 2])
    loss = np.mean([-math.log(math.exp(z[k]) / sum(map(math.exp, z))) for z, k in zip(logits, labels, strict=True)])
    x = Tensor(logits, True)
    y = ops.softmax_cross_entropy(x, labels)
    assert y.shape == ()
    assert y.item() == pytest.approx(loss, rel=1e-14)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(grad(y, x).numpy(), (p - np.eye(4)[labels]) / 5, atol=1e-16)


def test_uniform_logits_cost_log_k():
    for k in (1, 2, 10, 1000):
        assert ops.softmax_cross_entropy(np.full((3, k), 7.0), [0, k - 1, k // 2]).item() == pytest.approx(math.log(k))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [1e4, -1e4, 1e30])
def test_extreme_logits(backend, dtype, size):
    x = Tensor(np.array([[size, 0, -size], [size, size, size]], dtype), True)
    with use(all=backend):
        loss = ops.softmax_cross_entropy(x, [2, 1])
        g = grad(loss, x, create_graph=True)
        second = grad((g * g).sum(), x)
    np.testing.assert_allclose(loss.item(), (max(2 * size, 0) + math.log(3)) / 2, rtol=1e-6)
    high = [0.5, 0, -0.5] if size > 0 else [0, 0, 0]
    np.testing.assert_allclose(g.numpy(), [high, [1 / 6, -1 / 3, 1 / 6]], atol=1e-6)
    assert np.isfinite(second.numpy()).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_stays_visible(backend):
    with use(all=backend):
        assert math.isnan(ops.softmax_cross_entropy(np.array([[0.0, np.nan], [1, 2]]), [0, 1]).item())


@pytest.mark.parametrize("labels", [[1, 0], (1, 0), np.array([1, 0], np.uint8), np.array([1, 0], np.uint64)])
def test_labels_of_many_kinds(labels):
    logits = np.array([[0.0, 1.0], [3.0, 0.0]])
    expected = ops.softmax_cross_entropy(logits, np.array([1, 0])).item()
    assert ops.softmax_cross_entropy(logits, labels).item() == expected
    assert ops.softmax_cross_entropy(logits, Tensor(np.asarray(labels))).item() == expected


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        ((3, 4), [0, 4, 1], ShapeError, r"label 4 at position 1 is out of range: logits \[3, 4\] have classes 0 to 3"),
        ((3, 4), [0, 1, -1], ShapeError, r"label -1 at position 2 is out of range"),
        ((3, 4), [0, 1], ShapeError, r"labels are int64 \[2\]; integers \[3\] are wanted, one for each row of logits"),
        ((3, 4), np.eye(4)[:3].astype(int), ShapeError, r"labels are int64 \[3, 4\]; integers \[3\] are wanted"),
        ((3, 4), [0.0, 1.0, 2.0], DtypeError, r"labels are float64 \[3\]; integers \[3\] are wanted"),
        ((3, 4), [True, False, True], DtypeError, r"labels are bool \[3\]"),
        ((4,), 1, ShapeError, r"logits has shape \[4\]; 2 dimensions \[N, K\] are wanted"),
        ((2, 3, 4), [0, 1], ShapeError, r"logits has shape \[2, 3, 4\]; 2 dimensions"),
        ((0, 4), np.zeros(0, int), ShapeError, r"logits \[0, 4\] hold no values, whose mean loss is undefined"),
        ((2, 0), [0, 0], ShapeError, r"logits \[2, 0\] hold no values"),
    ],
)
def test_what_does_not_fit(logits, labels, error, message):
    with pytest.raises(error, match=f"^softmax_cross_entropy: {message}"):
        ops.softmax_cross_entropy(np.zeros(logits), labels)


def test_integer_logits_are_refused():
    with pytest.raises(DtypeError, match="logits is int64; floating arrays are wanted"):
        ops.softmax_cross_entropy(np.zeros((2, 3), int), [0, 1])
