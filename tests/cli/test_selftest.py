from __future__ import annotations

import shutil

import numpy as np
import pytest

from tinyres.cli import main
from tinyres.kernels import registry


def test_some_ops(capsys):
    assert main(["selftest", "--ops", "relu", "linear"]) == 0
    printed = capsys.readouterr().out
    assert "all right" in printed
    here = [name for name in registry.names("relu") if registry.backend(name.partition(".")[0]).missing() is None]
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("relu ")] == here


def test_kernels_of_the_gpu(capsys, monkeypatch):
    """On the emulated one; those whose products are TF32 have no float64, and no gradient to be checked in it."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++ for the emulated GPU")
    monkeypatch.setenv("TINYRES_GPU", "emulated")
    assert main(["selftest", "--ops", "relu", "--device", "cuda"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("relu ")]
    assert [row[1] for row in rows] == ["cupy"]


def test_asked_for_a_gpu_that_is_not_there_it_fails(capsys, monkeypatch):
    """A script that asks whether the kernels of the GPU are right must not read "all right" of none."""
    monkeypatch.setattr("tinyres.kernels.cuda.missing", lambda: "the dog ate it")
    assert main(["selftest", "--ops", "relu", "--device", "cuda"]) == 1
    printed = capsys.readouterr()
    assert "there is no GPU to use: the dog ate it." in printed.err
    assert "all right" not in printed.out


def test_what_is_not_here_is_counted_by_its_reason(capsys, monkeypatch):
    monkeypatch.setattr("tinyres.kernels.cuda.missing", lambda: "the dog ate it")
    for key in [key for key in registry._table if registry._table[key].device == "cuda"]:
        monkeypatch.delitem(registry._table, key)
    assert main(["selftest", "--ops", "tanh", "sigmoid"]) == 0
    said = capsys.readouterr().out
    assert said.count("the dog ate it") == 1
    assert "2 kernels are not here: the dog ate it.\n" in said


def test_a_broken_kernel_fails_with_its_case(capsys, monkeypatch):
    right = registry.find("relu", "numpy")
    broken = registry.Kernel("relu", "numpy", lambda x: np.abs(x), writes_out=False)
    monkeypatch.setitem(registry._table, ("relu", "numpy"), broken)
    registry._resolved.clear()
    try:
        assert main(["selftest", "--ops", "relu"]) == 1
    finally:
        registry._table["relu", "numpy"] = right
        registry._resolved.clear()
    printed = capsys.readouterr().out
    assert "WRONG" in printed
    assert "FAILED kernel 'numpy' of relu" in printed


def test_an_unknown_op_is_one_sentence(capsys):
    assert main(["selftest", "--ops", "relux"]) == 1
    assert "did you mean 'relu'?" in capsys.readouterr().err
