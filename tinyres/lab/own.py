"""A student's files in this process: their kernels enter the table as the kernel "student" of their ops.

`tinyres lab train` and `tinyres bench --mine` run a student's own kernels, on the student's own machine: no sandbox.
Imports are those of the checks (`worker/imports.py`): a module for which a file of the student stands is that file;
what the lab hands out or provides is the library's; nothing else of tinyres, and no other framework. Each file has an
`__import__` of its own for that, so nothing of it shows outside, and the library keeps its modules.

What goes wrong in a student's file is told with its line, as for any file of a person's own (`kernels/files.py`).
"""

from __future__ import annotations

import ast
import builtins
import functools
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tinyres.errors import KernelError, LabError, TinyresError
from tinyres.kernels import files, registry
from tinyres.lab import derive, progress, submission
from tinyres.lab.task import Lab
from tinyres.lab.worker.imports import Map, Text

NAME = derive.BACKEND
REGISTRY = "tinyres.kernels.registry"


@dataclass(frozen=True)
class Own:
    """One kernel of a student: the op, and the file and function that it is."""

    op: str
    file: str
    function: str
    device: str


@dataclass(frozen=True)
class Student:
    """What a lab's folder holds for the table, and how often each op has run since."""

    lab: Lab
    folder: Path
    kernels: tuple[Own, ...]
    calls: Counter[str] = field(default_factory=Counter)


def load(folder: Path, others: Mapping[str, Path] | None = None, only: str = "") -> Student:
    """Enter the kernels of a lab's folder into the table.

    Parameters
    ----------
    folder : Path
        Of a lab, or a folder inside it.
    others : mapping of str to Path
        Files of earlier labs that stand in for modules of tinyres (`earlier.files`).
    only : str
        The kernels of this file alone; it may use the others.

    Returns
    -------
    Student
        Its kernels are in the table under the name "student", and chosen for nothing yet.

    Raises
    ------
    LabError
        This is no lab's folder, or a file imports what it must not.
    OutsideError
        A file fails: the line, and what Python says.
    """
    lab, _, home = progress.find(folder)
    here = {source.module: home / source.file for source in lab.sources if (home / source.file).is_file()}
    here |= {path.stem: path for path in sorted(home.glob("*.py")) if path not in here.values()}
    student = Student(lab, home, (), Counter())
    others = {module: path for module, path in (others or {}).items() if module not in here}
    _look(here, {*free(lab), *others}, home)
    run = _Files(here | others, student)
    wanted = [(module, path) for module, path in here.items() if "." in module and only in ("", path.name)]
    for module, path in wanted:
        run.enters = path
        run.module(module)
    return Student(lab, home, tuple(run.entered), student.calls)


def enter(path: Path) -> list[tuple[str, str]]:
    """Enter the kernels of a lab's folder, of one file in it, or of any other file of a person's own.

    Returns
    -------
    list of (str, str)
        Op and kernel name of each.

    Raises
    ------
    KernelError
        There is no kernel in it.
    """
    if not path.is_dir() and not (path.suffix == ".py" and (path.resolve().parent / progress.LOCK).is_file()):
        return files.load(path)
    student = load(path) if path.is_dir() else load(path.parent, only=path.name)
    if not student.kernels:
        raise KernelError(f"{path} has no kernels: {without_kernels(student.lab)}.")
    return [(own.op, NAME) for own in student.kernels]


def without_kernels(lab: Lab) -> str:
    """The sentence, without a full stop, for a lab that enters nothing into the table."""
    from tinyres.lab import catalogue

    having = [each.id for each in catalogue.labs() if any("@kernel(" in derive.source(s.module) for s in each.sources)]
    return f"what lab {lab.id} asks for is not in the table of kernels; the labs whose files are: {', '.join(having)}"


def free(lab: Lab) -> set[str]:
    """The modules of tinyres that a submission may import: what the lab provides, and what its own files import."""
    found = {*lab.provides, REGISTRY}
    for source in lab.sources:
        for node in ast.walk(ast.parse(derive.source(source.module))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tinyres."):
                found.add(node.module)
    return found


class _Files:
    """Modules by their text, each run when it is first asked for.

    Parameters
    ----------
    paths : mapping of str to Path
        By the name under which they are imported: that of the module a file stands for, or the file's own.
    student : Student
        Whose calls are counted.
    """

    def __init__(self, paths: Mapping[str, Path], student: Student) -> None:
        self.paths = {path.stem: path for path in paths.values()} | dict(paths)
        self.calls = student.calls
        self.modules: dict[Path, ModuleType] = {}
        self.entered: list[Own] = []
        self.enters = Path()  # the file whose kernels enter the table

    def module(self, name: str) -> ModuleType:
        """The module of that name, run if it was not yet."""
        path = self.paths[name]
        if path in self.modules:
            return self.modules[path]
        own = f"tinyres_{NAME}_{path.parent.name}_{path.stem}"
        module = self.modules[path] = sys.modules[own] = ModuleType(own)
        module.__file__ = str(path)
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": functools.partial(self._import, path)}
        try:
            exec(compile(submission.source_text(path), str(path), "exec", dont_inherit=True), vars(module))
        except TinyresError:
            raise
        except Exception as error:
            raise self._told(error) from None
        return module

    def _import(
        self,
        path: Path,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        """`import` in one of the files; its parameters are those of `builtins.__import__`."""
        if name == REGISTRY and fromlist:
            return _with(ModuleType(name), {"kernel": functools.partial(self._kernel, path)})
        if name in self.paths:
            module = self.module(name)
            return module if fromlist or "." not in name else _chain(name, module)
        if own := [each for each in fromlist or () if f"{name}.{each}" in self.paths]:
            package = builtins.__import__(name, globals, locals, fromlist, level)
            return _with(ModuleType(name), vars(package) | {each: self.module(f"{name}.{each}") for each in own})
        return builtins.__import__(name, globals, locals, fromlist, level)

    def _kernel(self, path: Path, op: str, name: str, **declared: Any) -> Callable[[Any], Any]:
        """`@kernel(op, "student")`: into the table, if the file is one whose kernels are asked for."""

        def register(function: Any) -> Any:
            if path == self.enters:
                registry.kernel(op, NAME, **declared)(self._watched(op, function))
                self.entered.append(Own(op, path.name, function.__name__, declared.get("device", "cpu")))
            return function

        return register

    def _watched(self, op: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its calls counted and its errors told."""

        @functools.wraps(function)
        def watched(*arrays: Any, **params: Any) -> Any:
            self.calls[op] += 1
            try:
                return function(*arrays, **params)
            except TinyresError:
                raise
            except Exception as error:
                raise self._told(error) from None

        return watched

    def _told(self, error: Exception) -> Exception:
        """The error with the line of the file in which it arose, as a sentence; as it is if it arose elsewhere."""
        frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        inner = [
            path
            for name in (*reversed(frames), getattr(error, "filename", None))
            if (path := Path(str(name))) in self.modules
        ]
        said = files.told(error, inner[0]) if inner else None
        return files.OutsideError(said) if said else error


def _look(paths: Mapping[str, Path], free: set[str], home: Path) -> None:
    """Refuse what a file imports and must not, before anything runs."""
    texts = [Text(module, str(path), submission.source_text(path), name=path.name) for module, path in paths.items()]
    sentence, name, line = Map(texts, {module: {} for module in free}, (), lambda *said: None).look()
    if sentence:
        raise LabError(f"{home / name}, line {line}: it {sentence}.")


def _with(module: ModuleType, names: Mapping[str, Any]) -> ModuleType:
    vars(module).update(names)
    return module


def _chain(name: str, module: ModuleType) -> ModuleType:
    """What `import a.b.c` binds: `a`, in which `b.c` is the module."""
    first, *rest = name.split(".")
    top = inner = ModuleType(first)
    for part in rest[:-1]:
        below = ModuleType(part)
        setattr(inner, part, below)
        inner = below
    setattr(inner, rest[-1], module)
    return top
