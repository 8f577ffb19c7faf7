"""The GPU of the tests: the emulated one, or, for tests marked `cuda`, the real one.

A test that takes `gpu` runs twice: in emulation always (skipped only where there is no C++ compiler), and, with
`-m cuda` on a machine that has a card, on that.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinyres import use
from tinyres.kernels import cuda, launch
from tinyres.kernels.launch import moved, on_host


@pytest.fixture(params=["emulated", pytest.param("real", marks=pytest.mark.cuda)])
def gpu(request, monkeypatch):
    """The library of the GPU's arrays, with the device "cuda" set up."""
    if request.param == "emulated":
        monkeypatch.setenv("TINYRES_GPU", "emulated")
    else:
        monkeypatch.delenv("TINYRES_GPU", raising=False)
    if reason := cuda.missing():
        pytest.skip(reason)
    return cuda.module()


@pytest.fixture
def run(gpu):
    """Run an op on the GPU with arrays of the host; its results as arrays of the host."""

    def call(op, *arrays, kernel="cupy", **params):
        with use(**{op: kernel}):
            results = launch(op, *(moved(np.asarray(a), "cuda") for a in arrays), **params)
        return [on_host(result) for result in (results if isinstance(results, tuple) else (results,))]

    return call
