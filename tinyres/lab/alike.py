"""Is it the submission's own? Lines that equal the library's solution, and functions that equal each other.

The library is public, and so are other people's folders. Both are told to the teacher and change no points: a few
equal lines are what everybody would write, and short functions coincide.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from tinyres.lab import derive
from tinyres.lab.task import Lab

LEAST = 40  # nodes of a function's syntax tree: below that, equal means little
LIBRARY = "the library's own solution"


def copied(lab: Lab, texts: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """By file: how many lines of the library's solution stand in the submission word for word, and of how many."""
    found = {}
    for source in lab.sources:
        library = derive.source(source.module)
        lines = set(derive.solution_lines(library, source.file)) - _lines(derive.stub(library, source.file))
        found[source.file] = len(lines & _lines(texts.get(source.file, ""))), len(lines)
    return found


def prints(lab: Lab, texts: Mapping[str, str]) -> dict[str, str]:
    """A print of each function that a student was to write: equal where they differ in names and comments only.

    Parameters
    ----------
    lab : Lab
    texts : mapping of str to str
        The submission's files.

    Returns
    -------
    dict of str to str
        By `file: function`; functions that are short, missing or no Python have none.
    """
    found = {}
    for source in lab.sources:
        asked = asked_for(derive.stub(derive.source(source.module), source.file))
        for name, function in _functions(texts.get(source.file, "")).items():
            if name in asked and sum(1 for _ in ast.walk(function)) >= LEAST:
                with contextlib.suppress(RecursionError):
                    mark = hashlib.sha256(_normal(function).encode()).hexdigest()
                    found[f"{source.file}: {name}"] = mark[:16]
    return found


def texts(lab: Lab, folder: Path) -> dict[str, str]:
    """The submission's files, as far as they can be read."""
    paths = {source.file: folder / source.file for source in lab.sources}
    return {name: path.read_text("utf-8", errors="replace") for name, path in paths.items() if path.is_file()}


def groups(known: Mapping[str, Mapping[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    """Functions that are equal in several submissions, with their names; the largest groups first.

    Parameters
    ----------
    known : mapping of str to mapping
        The prints by submission.
    """
    owners: dict[tuple[str, str], list[str]] = {}
    for name, marks in known.items():
        for function, mark in marks.items():
            owners.setdefault((function, mark), []).append(name)
    found = [(function, tuple(sorted(names))) for (function, _), names in owners.items() if len(names) > 1]
    return sorted(found, key=lambda group: (-len(group[1]), group))


def asked_for(stub: str) -> set[str]:
    """The functions of a stub, with their classes before a dot, that hold something to write."""
    empty = [number for number, line in enumerate(stub.splitlines(), 1) if "# YOUR CODE HERE" in line]
    return {
        name
        for name, function in _functions(stub).items()
        if any(function.lineno <= number <= (function.end_lineno or 0) for number in empty)
    }


def _lines(text: str) -> set[str]:
    return {line.split("  #")[0].strip() for line in text.splitlines()}


def _functions(text: str) -> dict[str, ast.FunctionDef]:
    try:
        body: Iterable[ast.stmt] = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}": each for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


def _normal(function: ast.FunctionDef) -> str:
    """The function's tree with names by the order in which they come, without docstring and annotations."""
    renamed = _Renamed()
    return "\n".join(ast.dump(renamed.visit(node)) for node in function.body if not _says(node))


def _says(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _Renamed(ast.NodeTransformer):
    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.known.setdefault(node.id, f"v{len(self.known)}"), ast.Load())

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self.known.setdefault(node.arg, f"v{len(self.known)}"))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return self.visit(ast.Assign([node.target], node.value)) if node.value else ast.Pass()
