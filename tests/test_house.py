"""The rules of the house, read from the source: who may import whom, what is documented, how long a file may be."""

from __future__ import annotations

import ast
import json
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import tinyres

PACKAGE = Path(tinyres.__file__).parent
ROOT = Path(__file__).parents[1]
SOURCES = sorted(PACKAGE.rglob("*.py"))
TREES = (PACKAGE, ROOT / "tests", ROOT / "benchmarks", ROOT / "lessons")
EVERYTHING = sorted(path for tree in TREES for path in tree.rglob("*.py"))

# Each line stands on those above it. Rooms of one line do not import each other; ENGINE is one thing in four files.
FLOORS = (
    {"errors"},
    {"machine"},
    {"kernels"},
    {"passback"},
    ENGINE := {"autograd", "function", "tensor", "gradcheck"},
    {"ops"},
    {"nn", "conformance"},
    {"models", "interop"},
    {"data", "optim"},
    {"train"},
    {"flow", "bench", "lab"},
    {"cli"},
)
DOORS = {"__init__", "__main__", "extend"}  # they re-export, from any floor
FOREIGN = {"torch", "torchvision", "tensorflow", "jax", "flax", "keras", "cudnn", "mxnet", "paddle"}
LATE = {"cupy", "llvmlite", "matplotlib", "numba", "PIL", "pooch", "safetensors", "scipy", "sklearn", "tqdm", "tyro"}

FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> list[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    names = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: write the full name of what is imported"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def trespasses(room: str, modules: list[str]) -> list[str]:
    """Those of tinyres' modules that a room may not import."""
    found = []
    for module in modules:
        parts = module.split(".")
        if parts[0] != "tinyres":
            continue
        other = parts[1] if len(parts) > 1 and parts[1] in FLOOR else None  # None: the front door, `import tinyres`
        allowed = other == room or (other is not None and FLOOR[other] < FLOOR[room]) or {room, other} <= ENGINE
        if not allowed and not (room == "cli" and other is None):
            found.append(module)
    return found


def test_the_rule_can_fail():
    assert trespasses("nn", ["numpy", "tinyres.ops.conv", "tinyres.nn.module", "tinyres.errors.ShapeError"]) == []
    assert trespasses("tensor", ["tinyres.autograd.Node"]) == []
    assert trespasses("kernels", ["tinyres.tensor.Tensor"]) == ["tinyres.tensor.Tensor"]
    assert trespasses("data", ["tinyres.optim.SGD"]) == ["tinyres.optim.SGD"]
    assert trespasses("train", ["tinyres.Tensor"]) == ["tinyres.Tensor"]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_floors(path):
    room = room_of(path)
    if room not in DOORS:
        assert room in FLOOR, f"{room} has no floor yet: give it one here"
        assert trespasses(room, imported(path)) == []


def test_no_other_framework():
    found = [(name_of(path), name) for path in SOURCES for name in imported(path) if name.split(".")[0] in FOREIGN]
    assert found == []


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
CLASSES = {node.name: node for path in SOURCES for node in tree_of(path).body if isinstance(node, ast.ClassDef)}


def public(body: list[ast.stmt]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in body if isinstance(node, FUNCTIONS) and not node.name.startswith("_")]


def decorated(node: ast.AST, *names: str) -> bool:
    called = [ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in getattr(node, "decorator_list", [])]
    return any(name.split(".")[-1] in names for name in called)


def ancestors(node: ast.ClassDef) -> list[str]:
    """The names of a class's bases, and of theirs."""
    bases = [ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases]
    return bases + [name for base in bases if base in CLASSES for name in ancestors(CLASSES[base])]


def says(node: ast.ClassDef, method: str) -> bool:
    return any(each.name == method and ast.get_docstring(each) for each in node.body if isinstance(each, FUNCTIONS))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_documented(path):
    """A kernel's contract is its op's, a Function's is its op's, and a method's may be that of its base class."""
    assert ast.get_docstring(tree_of(path)), "the module says nothing about itself"
    body = tree_of(path).body
    silent = [
        f.name for f in public(body) if not ast.get_docstring(f) and not decorated(f, "kernel", "oracle", "overload")
    ]
    for node in (n for n in body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")):
        above = ancestors(node)
        if "Function" in above:
            continue
        if not ast.get_docstring(node):
            silent.append(node.name)
        for method in public(node.body):
            family = [node, *(CLASSES[base] for base in above if base in CLASSES)]
            if not any(says(each, method.name) for each in family) and not decorated(method, "overload", "setter"):
                silent.append(f"{node.name}.{method.name}")
    assert silent == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_annotated(path):
    body = tree_of(path).body
    bare = []
    methods = [method for node in body if isinstance(node, ast.ClassDef) for method in public(node.body)]
    for node in (
        node for node in [*public(body), *methods] if not decorated(node, "intrinsic")
    ):  # its types are LLVM's
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        unsaid = [a.arg for a in every if a is not None and a.annotation is None and a.arg not in ("self", "cls")]
        if unsaid or node.returns is None:
            bare.append((node.name, unsaid))
    assert bare == []


def test_files_are_short():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_nothing_is_put_off():
    words = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in EVERYTHING
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(word in line for word in words)
    ]
    assert lines == []


PROBE = """
import json, sys, time
import numpy
start = time.perf_counter()
import tinyres
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_import_is_light():
    """At most half a second beyond NumPy, silent, and none of the heavy libraries."""
    seconds = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert len(lines) == 1, "the import prints"
        duration, modules = json.loads(lines[0])
        seconds.append(duration)
    assert LATE & set(modules) == set()
    assert statistics.median(seconds) <= 0.5
