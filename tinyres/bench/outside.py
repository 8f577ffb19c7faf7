"""Kernels and peers out of a person's own Python file.

`--mine FILE`   enters kernels into the table, with `@tinyres.kernels.kernel("conv2d", "mine")`; or, if it enters none,
                has functions named like ops, which are then entered under the name `mine`.
`--peer FILE`   has `prepare(op, arrays, params)`, which returns None for an op that it lacks, else two functions:
                `call()`, which is timed, and `read(value)`, which makes of what `call` returned the op's results as
                NumPy arrays in our layout, in the order of the op's results; and it may have a name, `NAME`.

What goes wrong in such a file is told with the line in it, not with ours.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tinyres.errors import ConfigError, KernelError, TinyresError
from tinyres.kernels import registry

Array = Any
SHOWN = 12  # lines of a message


class OutsideError(KernelError):
    """A mistake in a person's file: where in it, the line, and what Python says."""


@dataclass(frozen=True)
class Peer:
    """Somebody else's implementation of our ops."""

    name: str
    prepare: Callable[..., tuple[Callable[[], Any], Callable[[Any], Any]] | None]


def load_kernels(path: Path) -> list[tuple[str, str]]:
    """Run a file and return the (op, kernel name) that it has entered into the table.

    Raises
    ------
    OutsideError
        The file fails.
    KernelError
        It enters nothing, or a kernel under a name that tinyres uses itself.
    """
    before = _entries()  # imports tinyres' own: imported later, they would take the place of one of the file
    module = _run(path)
    entered = [key for key, function in _entries().items() if before.get(key) is not function]
    for op, name in entered:
        if (op, name) in before or name.partition(".")[0] in registry.BACKENDS:
            raise KernelError(
                f"{path} enters a kernel of {op} as {name!r}, a name of tinyres itself; call it 'mine', as in "
                f'@kernel("{op}", "mine").'
            )
    if not entered:
        own = {n: f for n, f in vars(module).items() if _is_own(f, module)}
        for op in (n for n in own if n in registry.ops()):
            registry.kernel(op, "mine")(own[op])
            entered.append((op, "mine"))
    if not entered:
        raise KernelError(
            f'{path} has no kernel: put @tinyres.kernels.kernel("conv2d", "mine") above a function, or name it '
            "as the op is named; `tinyres kernels` lists the ops."
        )
    return entered


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
    return callable(value) and not inspect.isclass(value) and getattr(value, "__module__", "") == module.__name__


def load_peer(path: Path) -> Peer:
    """Run a file and return the peer that it describes; OutsideError or ConfigError says what is wrong with it."""
    module = _run(path)
    prepare = getattr(module, "prepare", None)
    if not callable(prepare):
        raise ConfigError(
            f"{path} has no function prepare(op, arrays, params), which a peer must have; "
            "benchmarks/torch_peer.py is an example."
        )
    return Peer(str(getattr(module, "NAME", path.stem)), prepare)


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; name a Python file.")
    name = f"tinyres_bench_{path.stem}"
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


def returned_types(op: str, name: str, arrays: tuple[Array, ...], params: dict[str, Any], right: list[str]) -> None:
    """That a kernel which returns its results returns them in the type of the op: `launch` would convert in silence."""
    found = registry.find(op, name)
    if found.writes_out:
        return
    got = found.function(*arrays, **params)
    types = [str(np.asarray(value).dtype) for value in (got if isinstance(got, tuple) else (got,))]
    if len(types) == len(right) and types != right:
        raise KernelError(
            f"kernel {name!r} of {op} returns {', '.join(types)} for {arrays[0].dtype} arrays, and the op's result is "
            f"{', '.join(right)}; make it with dtype=x.dtype."
        )
