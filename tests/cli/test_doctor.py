"""The report: every part is there, true where it can be checked, and a lame matrix product is noticed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyres import cli, kernels, machine
from tinyres.kernels import compiling


@pytest.fixture
def report(capsys):
    def make() -> str:
        assert cli.main(["doctor"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return make


def fact(report: str, name: str) -> str:
    """What stands beside a name."""
    return next(line[24:] for line in report.splitlines() if line[2:24].strip() == name)


def test_headings(report):
    headings = [line for line in report().splitlines() if not line.startswith(" ")]
    assert headings == ["versions", "processor", "gpu", "data", "kernels", "environment"]


def test_versions_and_cores(report):
    text = report()
    assert fact(text, "numpy") == np.__version__
    assert fact(text, "python").startswith(platform.python_version())
    assert fact(text, "cores to use").split()[0] == str(machine.cores())


def test_every_backend_is_counted(report):
    part = report().partition("\nkernels\n")[2]
    for name in {row["kernel"] for row in kernels.table()}:
        assert fact(part, name).split()[1].startswith("ops")


def test_digits_are_found(report):
    assert "1,797" in fact(report(), "digits")


def test_environment(report, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("OMP_", "OPENBLAS_", "NUMBA_", "TINYRES_")):
            monkeypatch.delenv(name)
    assert "none of TINYRES_KERNELS" in report()
    monkeypatch.setenv("TINYRES_KERNELS", "relu=naive")
    assert fact(report(), "TINYRES_KERNELS") == "relu=naive"


@pytest.mark.parametrize(
    ("kernel", "extensions", "wasted"),
    [
        ("Haswell", ["X86_V2", "X86_V3", "X86_V4"], True),
        ("Zen", ["SSE", "AVX2", "AVX512F"], True),
        ("SkylakeX", ["X86_V2", "X86_V3", "X86_V4"], False),
        ("Haswell", ["X86_V2", "X86_V3"], False),
        (None, ["X86_V4"], False),
    ],
)
def test_narrow_kernels_on_a_wide_processor(kernel, extensions, wasted):
    assert machine.blas_wastes_vectors(machine.Blas("openblas", "0.3", kernel, 2), extensions) is wasted


def test_the_note_names_the_remedy(report, monkeypatch):
    monkeypatch.setattr(machine, "blas", lambda: machine.Blas("scipy-openblas", "0.3.31", "Haswell", 2))
    monkeypatch.setattr(machine, "simd", lambda: ["X86_V2", "X86_V3", "X86_V4"])
    text = report()
    assert "OPENBLAS_CORETYPE=SkylakeX tinyres train --kernels all=numpy" in text
    assert "tinyres does not set it" in text


def test_no_note_where_the_kernels_are_wide(report, monkeypatch):
    monkeypatch.setattr(machine, "blas", lambda: machine.Blas("scipy-openblas", "0.3.31", "SkylakeX", 2))
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert "OPENBLAS_CORETYPE=SkylakeX" not in report()


def test_importing_and_running_tinyres_sets_no_variable():
    """Not even those that would be good for speed: they belong to the person."""
    program = "import os; before = dict(os.environ); import tinyres, numpy; tinyres.ops.relu(numpy.ones(3)); "
    done = subprocess.run([sys.executable, "-c", program + "assert dict(os.environ) == before"], capture_output=True)
    assert done.returncode == 0


def test_threads(report, monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert fact(report(), "kernel threads") == f"{machine.cores()} (the cores; NUMBA_NUM_THREADS changes it)"
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    assert fact(report(), "kernel threads") == "3 (NUMBA_NUM_THREADS)"
    monkeypatch.setenv("NUMBA_NUM_THREADS", "many")
    assert fact(report(), "numba kernels").startswith("NUMBA_NUM_THREADS is 'many'; set it to a whole number")


def test_where_kernels_are_kept(report, monkeypatch):
    assert Path(fact(report(), "kernels kept in")).is_dir()
    monkeypatch.setattr(compiling.compiled, "kept", False)
    assert "set NUMBA_CACHE_DIR to a folder that can" in report()


def test_without_numba(report, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    text = report()
    assert "NUMBA_DISABLE_JIT is set, and these kernels exist only compiled" in text.partition("\ngpu\n")[0]
    assert "ops, default of" in fact(text.partition("\nkernels\n")[2], "numpy")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names a kernel for x86")
def test_openblas_is_asked():
    """OpenBLAS takes the kernel that the environment names, and says so."""
    if "openblas" not in machine.blas().name:
        pytest.skip("NumPy is built on another BLAS")
    asked = subprocess.run(
        [sys.executable, "-c", "from tinyres import machine; b = machine.blas(); print(b.kernel, b.threads)"],
        env=os.environ | {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.split() == ["Nehalem", "1"]
