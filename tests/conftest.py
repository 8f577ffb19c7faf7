"""What every test stands on: no window, no choice of kernels left over from outside, the same examples each time."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("TINYRES_KERNELS", None)
os.environ.pop("TINYRES_DEBUG", None)

import hypothesis
import numpy as np
import pytest

from tinyres.kernels import cuda, registry

hypothesis.settings.register_profile("tinyres", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tinyres")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20151210)  # the day of "Deep residual learning for image recognition"


@pytest.fixture
def own_kernels():
    """Register kernels freely: afterwards the table is as it was (but for tinyres' own, which are imported once)."""
    before = dict(registry._table)
    yield registry
    for key in registry._table.keys() - before.keys():
        if key[1] not in registry.own_names():
            del registry._table[key]
    registry._table.update(before)
    registry._resolved.clear()
    registry._from_environment.cache_clear()


@pytest.fixture
def launched(monkeypatch):
    """The (op, kernel) of every launch, in order."""
    calls = []

    def resolve(op, dtype, device, original=registry.resolve):
        chosen = original(op, dtype, device)
        calls.append((op, chosen.name))
        return chosen

    monkeypatch.setattr(registry, "resolve", resolve)
    return calls


@pytest.fixture(params=["emulated", pytest.param("real", marks=pytest.mark.cuda)])
def gpu(request, monkeypatch):
    """The library of the GPU's arrays, with the device "cuda" set up.

    A test that takes it runs twice: in emulation always (skipped only where there is no C++ compiler), and, with
    `-m cuda` on a machine that has a card, on that.
    """
    if request.param == "emulated":
        monkeypatch.setenv("TINYRES_GPU", "emulated")
    else:
        monkeypatch.delenv("TINYRES_GPU", raising=False)
    if reason := cuda.missing():
        pytest.skip(reason)
    return cuda.module()
