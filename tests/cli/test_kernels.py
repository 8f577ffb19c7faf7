from __future__ import annotations

from tinyres.cli import main
from tinyres.kernels import registry


def test_the_table_has_a_row_for_every_op(capsys):
    assert main(["kernels"]) == 0
    printed = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in printed[1 : 1 + len(registry.ops())]}
    assert set(rows) == set(registry.ops())
    assert {op for op, marks in rows.items() if "default" not in marks} <= set(registry.FUSED)  # composed on a CPU


def test_the_gpu_has_a_table_of_its_own(capsys):
    assert main(["kernels"]) == 0
    cpu, _, gpu = capsys.readouterr().out.partition("\non a GPU ")
    assert "cupy.igemm_tf32" in gpu.splitlines()[0]
    assert "cupy" not in cpu
    assert "numba.winograd" not in gpu


def test_one_op(capsys):
    assert main(["kernels", "--op", "conv2d"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(registry.names("conv2d"))
    assert all(("precision" in line) != (" no: " in line) for line in lines)


def test_an_unknown_op_is_one_sentence(capsys):
    assert main(["kernels", "--op", "conv3d"]) == 1
    assert "did you mean 'conv2d'?" in capsys.readouterr().err


def test_why_a_kernel_is_missing(capsys, monkeypatch):
    monkeypatch.setattr("tinyres.kernels.on_numpy.missing", lambda: "the dog ate it")
    before = dict(registry._table)
    try:
        for key in [key for key in registry._table if key[1] == "numpy"]:
            del registry._table[key]
        assert main(["kernels"]) == 0
        assert "the dog ate it" in capsys.readouterr().out
    finally:
        registry._table.update(before)


def test_models(capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "resnet20    A" in printed
    assert "19,421,274" in printed
