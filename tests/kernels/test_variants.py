"""Kernels named backend.variant: chosen by name, in groups, as defaults; a backend of three small files stands in."""

from __future__ import annotations

import importlib
import sys

import pytest

from tinyres import use
from tinyres.cli import main
from tinyres.errors import KernelError
from tinyres.kernels import registry
from tinyres.kernels.registry import resolve

BACKEND = """
MODULES = {"relu": "far_direct", "conv2d": "far_direct", "conv2d_weight": "far_direct"}
VARIANTS = {"quick": {"relu": "far_quick", "conv2d": "far_quick"}}
DEVICE = "cpu"
missing = lambda: None
"""
KERNELS = """
import numpy as np
from tinyres.kernels.registry import kernel
for op in {ops!r}:
    kernel(op, {name!r})(np.abs)
"""


@pytest.fixture
def far(monkeypatch, own_kernels, tmp_path):
    """The backend `far` with its variant `far.quick`, which two ops have."""
    (tmp_path / "far_backend.py").write_text(BACKEND)
    (tmp_path / "far_direct.py").write_text(KERNELS.format(ops=["relu", "conv2d", "conv2d_weight"], name="far"))
    (tmp_path / "far_quick.py").write_text(KERNELS.format(ops=["relu", "conv2d"], name="far.quick"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.BACKENDS, "far", "far_backend")
    yield importlib.import_module("far_backend")
    for module in ("far_backend", "far_direct", "far_quick"):
        sys.modules.pop(module, None)
    for key in [key for key in registry._table if key[1].startswith("far")]:
        del registry._table[key]
    registry._resolved.clear()


def running(op, dtype="float64"):
    return resolve(op, dtype, "cpu").name


def test_a_variant_is_a_kernel_of_its_own_name(far, monkeypatch):
    assert [name for name in registry.names("conv2d") if name.startswith("far")] == ["far", "far.quick"]
    usual = running("relu"), running("conv2d_weight")
    with use(conv2d="far.quick"):
        assert (running("conv2d"), running("relu"), running("conv2d_weight")) == ("far.quick", *usual)
    with monkeypatch.context() as patched:
        patched.setenv("TINYRES_KERNELS", "relu=far.quick")
        assert running("relu") == "far.quick"
    with pytest.raises(KernelError, match=r"conv2d_weight has no kernel 'far\.quick'"), use(conv2d_weight="far.quick"):
        pass
    with pytest.raises(KernelError, match=r"conv2d has no kernel 'far\.quack'; did you mean 'far\.quick'\?"):
        registry.find("conv2d", "far.quack")


def test_a_variant_is_imported_when_it_is_asked_for(far):
    registry.find("relu", "far")
    assert "far_quick" not in sys.modules
    registry.find("relu", "far.quick")
    assert "far_quick" in sys.modules


def test_a_variant_of_a_group_brings_its_backend(far):
    """And nothing beyond it: an op that neither has cannot be met in a group of few, and stays as it was in `all`."""
    usual = running("conv2d_input")
    with use(all="far.quick"):
        assert (running("relu"), running("conv2d"), running("conv2d_weight")) == ("far.quick", "far.quick", "far")
        assert running("conv2d_input") == usual
    with pytest.raises(KernelError, match=r"conv2d_input has no kernel 'far\.quick'"), use(conv="far.quick"):
        pass
    with pytest.raises(KernelError, match=r"there is no backend 'far\.quack'; did you mean"), use(all="far.quack"):
        pass
    del far.VARIANTS["quick"]["conv2d"]
    with pytest.raises(KernelError, match=r"has no kernel 'far\.quick'"), use(conv="far.quick"):
        pass


def test_a_whole_group_of_a_variant_and_its_backend(own_kernels):
    for op, name in (("conv2d", "near.quick"), ("conv2d_input", "near"), ("conv2d_weight", "near")):
        own_kernels.kernel(op, name)(print)
    with use(conv="near.quick"):
        assert [running(op) for op in registry.GROUPS["conv"]] == ["near.quick", "near", "near"]


def test_a_variant_as_default(far, monkeypatch):
    monkeypatch.setitem(registry.DEFAULTS, "cpu", ("far.quick", "far", "numpy"))
    registry._resolved.clear()
    assert [running(op) for op in ("conv2d", "conv2d_weight", "tanh")] == ["far.quick", "far", "numpy"]
    defaults = {row["op"]: row["kernel"] for row in registry.table() if row["default"]}
    assert (defaults["relu"], defaults["conv2d_weight"], defaults["tanh"]) == ("far.quick", "far", "numpy")
    far.missing = lambda: "no such chip here"
    registry._resolved.clear()
    assert running("conv2d") == "numpy"


def test_the_default_goes_by_type(far, monkeypatch):
    monkeypatch.setitem(registry.DEFAULTS, "cpu", ("far", "numpy"))
    single = registry.Kernel("relu", "far", print, dtypes=("float32",))
    monkeypatch.setitem(registry._table, ("relu", "far"), single)
    registry._resolved.clear()
    assert (running("relu", "float32"), running("relu", "float64")) == ("far", "numpy")


def test_variants_are_listed(far, capsys):
    assert main(["kernels"]) == 0
    columns, *rows = (line.split() for line in capsys.readouterr().out.splitlines()[: 1 + len(registry.ops())])
    place = columns.index("far.quick")
    assert {row[0] for row in rows if row[place] == "yes"} == {"relu", "conv2d"}
    assert main(["kernels", "--op", "relu"]) == 0
    assert any(line.startswith("far.quick") for line in capsys.readouterr().out.splitlines())
