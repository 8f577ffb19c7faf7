"""The import map, asked in this process: what a text may import, and what is seen before it runs."""

from __future__ import annotations

import sys

import pytest

from tinyres.lab.worker.imports import Map, Text, imported

TEXTS = [
    Text("tinyres.kernels.on_numpy.conv", "/s/conv.py", "import torch\n", "conv.py"),
    Text("helper", "/s/helper.py", "", "helper.py"),
    Text("random", "/s/random.py", "", "random.py"),
    Text("tinyres.kernels.on_numpy.blocks", "/s/given/blocks.py", "import jax", own=False),
]


def map_of(*texts: Text, allowed: tuple[str, ...] = ()) -> tuple[Map, list[str]]:
    said: list[str] = []
    return Map(
        texts or TEXTS, {"tinyres.tensor": {"Tensor": int}}, allowed, lambda name, sentence: said.append(sentence)
    ), said


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import numpy as np, os.path", ["numpy", "os.path"]),
        ("from tinyres.kernels.on_numpy import conv, pool", ["tinyres.kernels.on_numpy.pool"]),
        ("import tinyres.kernels.on_numpy.conv as c, tinyres", ["tinyres"]),
        ("from tinyres.tensor import Tensor", []),
        ("from tinyres.kernels.registry import kernel", []),
        ("def f():\n    import torch.nn.functional as F", ["torch.nn.functional"]),
        ("if 0:\n    from jax import numpy", ["jax"]),
        ("__import__('torch')", ["torch"]),
        ("import importlib\nimportlib.import_module('torch')", ["importlib", "torch"]),
        ("import importlib.util as u\nu.find_spec", ["importlib.util"]),
        ("from . import x", []),
        ("f(1)(2)['__import__']('a')", []),
        ("def broken(:", []),
        ("x = " + "(" * 500, []),
        ("x = 1" + " + 1" * 20_000, []),
    ],
)
def test_what_a_text_imports(source, names):
    known, _ = map_of()
    assert [name for name, _ in imported(source, known)] == names


@pytest.mark.parametrize(
    "name", ["torch", "torch.nn", "tinyres.ops", "tinyres.kernels.on_numba.conv", "cupy", "sklearn"]
)
def test_forbidden(name):
    known, said = map_of()
    with pytest.raises(ModuleNotFoundError):
        known.find_spec(name)
    assert said[0].startswith(f"imports {name}: ")
    known, said = map_of(Text("a", "/s/a.py", f"\nimport {name}\n", "a.py"))
    assert known.look()[0].startswith(f"imports {name}: ")
    assert known.look()[1:] == ("a.py", 2)


def test_allowed():
    known, said = map_of(Text("a", "/s/a.py", "import cupy"), allowed=("cupy",))
    assert known.find_spec("cupy") is None
    assert known.look() == ("", "", 0)
    assert said == []
    for name in ("numpy", "os", "numba.cuda", "torchlight", "random"):
        assert known.find_spec(name) is None


def test_found():
    """By both names; packages in between; a text of the library is not looked at; the standard library stays."""
    known, said = map_of()
    for name in ("conv", "tinyres.kernels.on_numpy.conv", "helper", "tinyres.tensor", "tinyres", "tinyres.kernels"):
        assert known.find_spec(name) is not None, name
    assert known.find_spec("random") is not None  # a module of that name, asked for by its full name
    assert "random" not in known.short
    assert known.look() == (known.look()[0], "conv.py", 1)
    assert said == []


def test_a_shim_may_have_modules_below_it():
    known, _ = map_of(Text("tinyres.tensor.more", "/s/more.py", ""))
    assert known.find_spec("tinyres.tensor").submodule_search_locations == []
    assert known.find_spec("tinyres.tensor.more").submodule_search_locations is None
    assert imported("from tinyres.tensor import Tensor, more", known) == []


def test_an_earlier_lab_may_need_what_is_not_here():
    known, _ = map_of(Text("tinyres.autograd", "/s/earlier/autograd.py", "import tinyres.function", earlier=True))
    assert known.look() == ("", "", 0)
    known, _ = map_of(
        Text("tinyres.autograd", "/s/earlier/autograd.py", "import jax", "lab01/autograd.py", earlier=True)
    )
    assert known.look()[1:] == ("lab01/autograd.py", 1)


def test_one_module_under_two_names(monkeypatch):
    source = "made = object()\n"
    known, _ = map_of(Text("own.package.conv_of_a_student", "/s/conv_of_a_student.py", source))
    monkeypatch.setattr(sys, "meta_path", [known, *sys.meta_path])
    import importlib

    try:
        one = importlib.import_module("conv_of_a_student")
        two = importlib.import_module("own.package.conv_of_a_student")
        assert one.made is two.made
        assert two.__file__ == "/s/conv_of_a_student.py"
    finally:
        for name in ("conv_of_a_student", "own.package.conv_of_a_student", "own.package", "own"):
            sys.modules.pop(name, None)
