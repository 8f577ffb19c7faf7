"""Two parts of a whole, against NumPy; and a part that is scaled without being made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tinyres.flow import statistics
from tinyres.flow.statistics import parts


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [3, 16, 48, 4096 * 2])
def test_scaled_parts(channels, dtype, compiled, monkeypatch, rng):
    monkeypatch.setattr(statistics, "_compiled", lambda: compiled)
    a, b, whole = rng.standard_normal((3, 5, 2, channels)).astype(dtype)
    factor, shift = rng.standard_normal((2, channels))
    wanted = parts(a.astype(np.float64) * factor + shift, b.astype(np.float64), whole.astype(np.float64))
    found = parts(a, b, whole, (factor, shift))
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for field in dataclasses.fields(found):
        assert getattr(found, field.name) == pytest.approx(getattr(wanted, field.name), rel=tolerance, abs=tolerance)
    p = a * factor + shift
    assert found.std_a == pytest.approx(p.std(), rel=1e-5)
    assert found.std_sum == pytest.approx((p + b).std(), rel=1e-5)
    assert found.cosine == pytest.approx((p * b).sum() / np.linalg.norm(p) / np.linalg.norm(b), abs=1e-5)
    assert found.gap == pytest.approx(np.linalg.norm(whole - (p + b)), rel=1e-5)
