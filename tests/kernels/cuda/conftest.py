"""The GPU of the tests: the emulated one, or, for tests marked `cuda`, the real one.

A test that takes `gpu` runs twice: in emulation always (skipped only where there is no C++ compiler), and, with
`-m cuda` on a machine that has a card, on that.
"""

from __future__ import annotations

import pytest

from tinyres.kernels import cuda


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
