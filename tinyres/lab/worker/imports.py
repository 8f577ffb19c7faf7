"""The import map: what a submission's `import` finds.

the student's files, by their own names and by those of the modules that they stand for
modules of tinyres that the lab provides, by their text
a few names in place of others, such as `kernel` of tinyres.kernels.registry
nothing else of tinyres, and no other framework: whoever tries is refused
everything else as usual
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any

FRAMEWORKS = [
    "torch",
    "torchvision",
    "torchaudio",
    "tensorflow",
    "keras",
    "jax",
    "jaxlib",
    "flax",
    "haiku",
    "equinox",
    "mxnet",
    "paddle",
    "mindspore",
    "tinygrad",
    "cupy",
    "sklearn",
]


@dataclass(frozen=True)
class Text:
    """A module by its text: its full name, the path under which it is compiled, and whether a student wrote it.

    A file of an earlier lab may name modules of tinyres that are not here; those are not found, and nothing more.
    """

    module: str
    path: str
    text: str
    name: str = ""  # of a student's file, as messages say it
    own: bool = True
    earlier: bool = False


def kernel(op: str, name: str, **declared: Any) -> Callable[[Any], Any]:
    """`@kernel("conv2d", "student")` in a worker: the function as it is."""
    return lambda function: function


class Map(importlib.abc.MetaPathFinder):
    """The finder of a submission.

    Parameters
    ----------
    texts : modules by their text
    shims : names of a module, by its full name
    allowed : frameworks that this lab may use after all
    refuse : called with a name and a sentence when somebody imports what must not be; raises if that is a student
    """

    def __init__(
        self,
        texts: Iterable[Text],
        shims: Mapping[str, Mapping[str, object]],
        allowed: Sequence[str],
        refuse: Callable[[str, str], None],
    ) -> None:
        self.texts = {text.module: text for text in texts}
        self.shims = {"tinyres.kernels.registry": {"kernel": kernel}, **shims}
        mine = {os.path.basename(text.path)[:-3]: text.module for text in self.texts.values() if text.own}
        self.short = {name: module for name, module in mine.items() if name not in (*sys.stdlib_module_names, "numpy")}
        self.forbidden = {"tinyres", *FRAMEWORKS} - set(allowed)
        self.refuse = refuse
        known = [*self.texts, *self.shims]
        self.parents = {name.rsplit(".", k)[0] for name in known for k in range(1, name.count(".") + 1)}
        self.packages = self.parents - set(known)  # there only for what is below them

    def knows(self, name: str) -> bool:
        """There is such a module."""
        return name in self.texts or name in self.shims

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Importlib's question for a module of that name."""
        if self.knows(name) or name in self.packages or name in self.short:
            return importlib.machinery.ModuleSpec(name, Runner(self), is_package=name in self.parents)
        if name.split(".")[0] in self.forbidden:
            self.refuse(name, refusal(name))
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

    def there(self) -> set[str]:
        """Forbidden frameworks that were imported all the same."""
        return self.forbidden & sys.modules.keys() - self.packages - self.short.keys()

    def look(self) -> tuple[str, str, int]:
        """The first forbidden import in the students' texts, before any of it runs: (sentence, file, line)."""
        for text in self.texts.values():
            if text.own:
                for name, line in imported(text.text, self):
                    if name.split(".")[0] in self.forbidden - ({"tinyres"} if text.earlier else set()):
                        return refusal(name), text.name, line
        return "", "", 0


def refusal(name: str) -> str:
    """What is said of a forbidden import."""
    if name.split(".")[0] == "tinyres":
        return f"imports {name}: that is the library's own work, and a submission that uses it earns nothing"
    return f"imports {name}: the work is to be done without it, and a submission that uses it earns nothing"


class Runner(importlib.abc.Loader):
    """Executes a module of the map."""

    def __init__(self, known: Map) -> None:
        self.known = known

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """A student's file has two names and is one module."""
        alias = spec.name not in self.known.texts and self.known.short.get(spec.name)
        return importlib.import_module(alias) if alias and alias != spec.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run its text, or put the names in that stand for it."""
        name = module.__spec__.name if module.__spec__ else module.__name__
        if name in self.known.shims:
            vars(module).update(self.known.shims[name])
        elif name in self.known.texts:
            text = self.known.texts[name]
            module.__file__ = text.path
            exec(compiled(text), module.__dict__)


def compiled(text: Text) -> CodeType:
    """Its code. What cannot be parsed is a SyntaxError, however it fails."""
    try:
        return compile(text.text, text.path, "exec", dont_inherit=True)
    except (ValueError, RecursionError, MemoryError, SyntaxError) as error:  # zero bytes, or nested without end
        if isinstance(error, SyntaxError) and error.filename:
            raise
        raise SyntaxError(str(error) or "nested too deeply", (text.path, 1, 0, "")) from None


def imported(text: str, known: Map) -> list[tuple[str, int]]:
    """Modules that a text imports by name, those that the map knows left out: (full name, line)."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # told when it is loaded
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module in known.packages:
                found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
            else:
                found.append((node.module, node.lineno))
        elif isinstance(node, ast.Call) and _called(node.func) in ("__import__", "import_module"):
            names = [each.value for each in node.args[:1] if isinstance(each, ast.Constant)]
            found += [(name, node.lineno) for name in names if isinstance(name, str)]
    return [(name, line) for name, line in found if not known.knows(name)]


def _called(function: ast.expr) -> str:
    return getattr(function, "attr", "") or getattr(function, "id", "")


def install(known: Map) -> None:
    """From now on, imports of this process ask the map first."""
    sys.meta_path.insert(0, known)
