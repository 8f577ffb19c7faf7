"""The convolutions on processors with narrower vectors: other blocks of registers, the same results."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# LLVM makes what the real processor has of vectors of any width; so code for narrow ones runs here too. It has a cache
# of its own: the processor, by which Numba tells caches apart, is the same.
PROGRAM = """
import llvmlite.binding as llvm
original, llvm.get_host_cpu_features = llvm.get_host_cpu_features, lambda: {features}
from tinyres.kernels.backends import backend_of
from tinyres.kernels.on_numba import vectors
llvm.get_host_cpu_features = original
from tinyres.conformance import check_kernel
from tinyres.kernels.registry import GROUPS, names
print(vectors.VECTOR_BYTES)
for op in GROUPS["conv"]:
    for name in names(op):
        if backend_of(name) == "numba":
            check_kernel(op, name, {dtype!r})
"""


@pytest.mark.parametrize(
    ("features", "width", "dtype"),
    [
        pytest.param({"avx": True}, 32, "float32", marks=pytest.mark.slow),
        pytest.param({}, 16, "float32", marks=pytest.mark.slow),
        pytest.param({"avx": True}, 32, "float64", marks=pytest.mark.slow),
        pytest.param({}, 16, "float64", marks=pytest.mark.slow),
    ],
)
def test_narrower_vectors(features, width, dtype, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(features=features, dtype=dtype)],
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(width)]
