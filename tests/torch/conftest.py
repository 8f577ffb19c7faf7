"""Parity with PyTorch, once with the kernels that run by default and once with the readable ones."""

from __future__ import annotations

import pytest

import tinyres


@pytest.fixture(params=["default", "numpy", "numba"], autouse=True, scope="module")
def kernels(request):
    """The backend whose kernels run, wherever it has one."""
    with tinyres.use() if request.param == "default" else tinyres.use(all=request.param):
        yield request.param
