"""Kernels out of a person's own file: Python (`mine.py`) or CUDA C++ (`mine.cu`).

A Python file enters kernels into the table, with `@tinyres.kernels.kernel("conv2d", "mine")`; or, if it enters none, it
has functions named like ops, which are then entered under the name `mine`: plain ones, with the op's arrays by position
and its parameters by keyword, and Numba-CUDA's (`@cuda.jit`), whose parameters are given by name (`cuda/named.py`),
their launch in a comment above (`# tinyres: grid=... block=...`). A `.cu` file has kernels named like ops
(`cuda/own.py`).

What goes wrong in such a file is told with the line in it, not with ours.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tinyres.errors import ConfigError, KernelError, TinyresError
from tinyres.kernels import registry
from tinyres.kernels.backends import backend_of
from tinyres.kernels.cuda import named, own

NAME = "mine"
SUFFIXES = (".py", ".cu")
SHOWN = 12  # lines of a message


class OutsideError(KernelError):
    """A mistake in a person's file: where in it, the line, and what Python or the compiler says."""


def load(path: Path) -> list[tuple[str, str]]:
    """Take the kernels of a file into the table.

    Parameters
    ----------
    path : Path
        A `.py` or `.cu` file.

    Returns
    -------
    list of (str, str)
        Op and kernel name of each.

    Raises
    ------
    ConfigError
        There is no such file.
    OutsideError
        The file fails.
    KernelError
        It has no kernel, or one under a name that tinyres uses itself.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; name a .py or a .cu file.")
    entered = _cuda(path) if path.suffix == ".cu" else _python(path)
    for op, name in entered:
        if backend_of(name) in registry.BACKENDS:
            raise KernelError(
                f"{path} enters a kernel of {op} as {name!r}, a name of tinyres itself; call it 'mine', as in "
                f'@kernel("{op}", "mine").'
            )
    return entered


def chosen(choices: Mapping[str, str]) -> dict[str, str]:
    """Replace files in a choice of kernels (`{"conv2d": "mine.cu"}`) by the names under which they are entered.

    A group (`conv`, `all`) takes those of its ops that the file has. Choices of kernels by name come back as they are.
    """
    found: dict[str, str] = {}
    loaded: dict[str, list[tuple[str, str]]] = {}
    for key, value in choices.items():
        if Path(value).suffix not in SUFFIXES:
            found[key] = value
            continue
        if value not in loaded:
            loaded[value] = load(Path(value))
        wanted = registry.ops() if key == "all" else registry.GROUPS.get(key, (key,))
        own_ops = {op: name for op, name in loaded[value] if op in wanted}
        if not own_ops:
            has = ", ".join(op for op, _ in loaded[value])
            raise KernelError(
                f"{value} has kernels of {has} and is chosen for {key}; write {has.split(', ')[0]}={value}."
            )
        found |= own_ops
    return found


def _python(path: Path) -> list[tuple[str, str]]:
    before = _entries()  # imports tinyres' own: imported later, they would take the place of one of the file
    module = run_module(path)
    entered = [key for key, function in _entries().items() if before.get(key) is not function]
    if not entered:
        functions = {n: f for n, f in vars(module).items() if n in registry.ops() and _is_own(f, module)}
        for op, function in functions.items():
            if hasattr(function, "py_func") and "cuda" in type(function).__module__:
                runs = registry.backend("numba_cuda").missing  # as ours of that kind do
                registry.kernel(op, NAME, device="cuda", requires=runs)(_numba_cuda(op, function, path))
            else:
                registry.kernel(op, NAME)(function)
            entered.append((op, NAME))
    if not entered:
        raise KernelError(
            f'{path} has no kernel: put @tinyres.kernels.kernel("conv2d", "mine") above a function, or name it '
            "as the op is named; `tinyres kernels` lists the ops."
        )
    return entered


def _cuda(path: Path) -> list[tuple[str, str]]:
    entered = []
    for found in own.kernels(path, lambda name: name in registry.ops()):
        registry.kernel(found.op, NAME, device="cuda", dtypes=found.dtypes)(_placed(found))
        entered.append((found.op, NAME))
    if not entered:
        raise KernelError(
            f"{path} has no kernel named like an op; write one as in "
            'extern "C" __global__ void conv2d(const float* x, const float* w, float* y, ...).'
        )
    return entered


def _placed(found: own.Own) -> Callable[..., None]:
    """The kernel, whose compiler's errors name the line in the person's file."""

    def kernel(*arrays: Any, out: Any, **params: Any) -> None:
        try:
            found(*arrays, out=out, **params)
        except KernelError as error:
            if (where := own.line_of(str(error), found)) is None:
                raise
            raise OutsideError(where) from None

    return kernel


def _numba_cuda(op: str, function: Any, path: Path) -> Callable[..., None]:
    """A bare `@cuda.jit` kernel, its parameters bound by name and launched as the comment above it says."""
    where = f"{path}, kernel {op}"
    if op not in named.ARRAYS:
        raise KernelError(f"{where}: of a bare @cuda.jit kernel the op is one of {', '.join(named.ARRAYS)}.")
    wanted = tuple(inspect.signature(function.py_func).parameters)
    above = inspect.getcomments(function.py_func) or ""
    lines = [line.split("tinyres:", 1)[1] for line in above.splitlines() if "tinyres:" in line]
    geometry = named.geometry(lines[-1], where) if lines else named.Geometry()

    def kernel(*arrays: Any, out: Any, **params: Any) -> None:
        from tinyres.kernels.on_numba_cuda.device import launch

        names = named.values(op, arrays, out if isinstance(out, tuple) else (out,), params)
        grid, block, _ = geometry.of(names)
        launch(function, grid, block, *[named.need(name, names, where) for name in wanted])

    return kernel


def _entries() -> dict[tuple[str, str], Callable[..., Any]]:
    """The function of every kernel that can run here."""
    found = {}
    for op in registry.ops():
        for name in registry.names(op):
            try:
                found[op, name] = registry.find(op, name).function
            except KernelError:
                continue
    return found


def _is_own(value: object, module: ModuleType) -> bool:
    """Whether a file defines this function itself; a compiled one counts."""
    home = getattr(getattr(value, "py_func", value), "__module__", "")
    return callable(value) and not inspect.isclass(value) and home == module.__name__


def run_module(path: Path) -> ModuleType:
    """Import a person's file; OutsideError with the line where it fails."""
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; name a Python file.")
    name = f"tinyres_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file: its name has to end in .py.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        if where := told(error, path):
            raise OutsideError(where) from None
        raise
    return module


def told(error: BaseException, path: Path, own: bool = False) -> str | None:
    """Where in a person's file an error arose, its line and what Python says; None if it arose elsewhere.

    An error of an `own` function without such a line comes from a compiler, whose message names the line.
    """
    said = [line for line in str(error).splitlines() if line.strip()]
    shown = "\n".join(said[:SHOWN]) + ("\n..." if len(said) > SHOWN else "")
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == path.resolve():
        return f"{path}, line {error.lineno}:\n    {(error.text or '').strip()}\n{kind}: {error.msg}"
    stack = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in stack if Path(frame.filename).resolve() == path.resolve()]
    if not frames:
        return f"{path}\n{kind}: {shown}" if own and not isinstance(error, TinyresError) else None
    last = frames[-1]
    return f"{path}, line {last.lineno}, in {last.name}:\n    {(last.line or '').strip()}\n{kind}: {shown}"
