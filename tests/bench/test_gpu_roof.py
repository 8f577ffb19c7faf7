"""The kernels by which the roof of a GPU is measured: they do what is counted, in registers, on every architecture."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tinyres.kernels import cuda
from tinyres.kernels.cuda import compile


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ for the emulated GPU")
def test_kernels_of_the_roof_do_what_they_count(monkeypatch):
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    xp = cuda.module()
    out = xp.empty(64, np.float32)
    for name, rounds, right in (
        ("ffma<float>", 40, 16),
        ("tensor_tf32", 3, 24 + 2 * 3),
        ("tensor_bf16", 3, 24 + 4 * 3),
    ):
        cuda.launch("roof.cuh", name, 2, 32, out, np.int32(rounds))
        assert out.get().tolist() == [right] * 64
    source, target = xp.arange(80, dtype=np.float32), xp.zeros(80, np.float32)
    cuda.launch("roof.cuh", "copy", 2, 3, source, target, np.int32(20))
    assert target.get().tolist() == source.get().tolist()


@pytest.mark.skipif(compile.missing() is not None, reason="needs cuda-core to compile for a GPU")
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_120"])
def test_kernels_of_the_roof_stay_in_registers(architecture):
    names = ["ffma<float>", "ffma<double>", "copy", "nothing"]
    names += [] if architecture == "sm_75" else ["tensor_tf32", "tensor_bf16"]  # which Turing does not have
    for name in names:
        needs = compile.compiled("roof.cuh", name, architecture)
        assert (needs.spilled, needs.stack) == (0, 0)
        assert needs.registers <= 64  # 1,024 threads of a multiprocessor at once, at least
