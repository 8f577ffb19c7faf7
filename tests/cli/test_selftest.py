from __future__ import annotations

import numpy as np

from tinyres.cli import main
from tinyres.kernels import registry


def test_some_ops(capsys):
    assert main(["selftest", "--ops", "conv2d", "batch_norm"]) == 0
    printed = capsys.readouterr().out
    assert "all right" in printed
    assert len([line for line in printed.splitlines() if line.startswith("conv2d")]) == len(registry.names("conv2d"))


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
