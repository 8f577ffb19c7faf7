r"""A person's CUDA C++: a `.cu` file whose kernels are named like ops and say by name what they want to be given.

    // tinyres: block=128                     (may be left away: a thread for each value of y, in blocks of 256)
    extern "C" __global__ void relu(const float* x, float* y, int size) {
      int i = blockIdx.x * blockDim.x + threadIdx.x;
      if (i < size) y[i] = x[i] > 0 ? x[i] : 0;
    }

What the names stand for: `named.py`. A kernel of `float*` takes float32 arrays, one of `double*` float64, and one under
`template <typename T>` both. Arrays are contiguous. The text may include files beside it and those of tinyres, such as
`"common.cuh"`. `tinyres bench --mine mine.cu` measures it, `tinyres train --use conv2d=mine.cu` trains with it.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.errors import KernelError
from tinyres.kernels import cuda
from tinyres.kernels.cuda import named

Array = Any
BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
KERNEL = re.compile(
    r"(?:template\s*<\s*(?:typename|class)\s+(?P<type>\w+)\s*>\s*)?(?:extern\s+\"C\"\s+)?"
    rf"__global__\s+{BOUNDS}void\s+{BOUNDS}(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)\s*\{{"
)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
HEADER = re.compile(r"^[ \t]*//\s*tinyres:(?P<line>[^\n]*)$", re.MULTILINE)
TYPES = {
    "float": "float32", "double": "float64", "int": "int32", "unsigned": "uint32", "unsigned int": "uint32",
    "long long": "int64", "unsigned char": "uint8", "bool": "bool",
}  # fmt: skip
FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: a pointer to values of a type, or a number of it."""

    name: str
    type: str  # a key of TYPES, or the name of the template's type
    pointer: bool


@dataclass(frozen=True)
class Own:
    """A kernel of a file: its op, what it takes, and how it is launched."""

    path: Path
    kept: Path  # its text as it was when it was read: a file that is edited meanwhile changes no run
    op: str
    template: str | None
    parameters: tuple[Parameter, ...]
    geometry: named.Geometry

    @property
    def where(self) -> str:
        """The file and the kernel, for messages."""
        return f"{self.path}, kernel {self.op}"

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The types of array that it takes."""
        if self.template:
            return FLOATS
        pointers = [TYPES[p.type] for p in self.parameters if p.pointer and TYPES[p.type] in FLOATS]
        return (pointers[0],) if pointers else FLOATS[:1]

    def __call__(self, *arrays: Array, out: Any, **params: Any) -> None:
        """Launch it, each parameter bound by its name."""
        results = out if isinstance(out, tuple) else (out,)
        names = named.values(self.op, arrays, results, params)
        if not names["size"]:
            return
        dtype = next(a.dtype.name for a in results if a.dtype.kind == "f")
        arguments = [self._argument(parameter, names, dtype) for parameter in self.parameters]
        grid, block, shared = self.geometry.of(names)
        real = next(c for c, n in TYPES.items() if n == dtype)
        expression = f"{self.op}<{real}>" if self.template else self.op
        cuda.launch(self.kept, expression, grid, block, *arguments, shared=shared)

    def _argument(self, parameter: Parameter, names: dict[str, Any], dtype: str) -> Any:
        value = named.need(parameter.name, names, self.where)
        kind = dtype if parameter.type == self.template else TYPES[parameter.type]
        if cuda.is_array(value) != parameter.pointer:
            said = ("an array", "a pointer") if cuda.is_array(value) else ("a number", "no pointer")
            raise KernelError(f"{self.where}: {parameter.name} is {said[0]}; declare it as {said[1]}.")
        if parameter.pointer:
            if value.dtype.name != kind:
                raise KernelError(
                    f"{self.where}: {parameter.name} is an array of {value.dtype.name} and is declared {kind}."
                )
            return value
        if isinstance(value, float) and not kind.startswith("float"):
            raise KernelError(f"{self.where}: {parameter.name} is {value}, and {parameter.type} cannot hold that.")
        return np.dtype(kind).type(value)


def kernels(path: Path, known: Callable[[str], bool]) -> Iterator[Own]:
    """The kernels of a file that are named like an op (`known`); other kernels of it are its own business.

    Raises
    ------
    KernelError
        The file cannot be read, a kernel has a type or a launch that cannot be understood, or its op is none of
        `named.ARRAYS`.
    """
    source = cuda.text(path.resolve())
    kept = _keep(source)
    end = 0
    for match in KERNEL.finditer(source):
        before, end, op = source[end : match.start()], match.end(), match["name"]
        if not known(op):
            continue
        where = f"{path}, kernel {op}"
        if op not in named.ARRAYS:
            raise KernelError(f"{where}: {op} cannot be given as a .cu; those that can: {', '.join(named.ARRAYS)}.")
        lines = [header["line"] for header in HEADER.finditer(before)]
        geometry = named.geometry(lines[-1], where) if lines else named.Geometry()
        yield Own(path, kept, op, match["type"], _parameters(match["parameters"], match["type"], where), geometry)


def _parameters(text: str, template: str | None, where: str) -> tuple[Parameter, ...]:
    found = []
    for part in COMMENT.sub("", text).split(","):
        words = re.sub(r"\b(const|__restrict__|restrict)\b", " ", part.replace("*", " * ")).split()
        *kind, name = words or [""]
        pointer = "*" in kind
        written = " ".join(word for word in kind if word != "*")
        if written not in TYPES and not (written and written == template):
            known = ", ".join(TYPES)
            raise KernelError(f"{where}: cannot read the parameter {part.strip()!r}; its type is one of {known}.")
        found.append(Parameter(name, written, pointer))
    return tuple(found)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tinyres-own-")


def _keep(source: str) -> Path:
    """The text in a file of this process, which is never written again."""
    path = Path(_folder().name) / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.cu"
    path.write_text(source, encoding="utf-8")
    return path


PLACE = re.compile(r"(?:kernel|\.cu):(\d+):(?:\d+:)?\s*(?:fatal )?error: *(.*)|\.cu\((\d+)\): error: *(.*)")


def line_of(said: str, own: Own) -> str | None:
    """Where in the person's file a compiler found its first error, the line, and what it says; None if it says not."""
    match = PLACE.search(said)
    if match is None:
        return None
    number, reason = int(match[1] or match[3]), match[2] or match[4]
    lines = own.kept.read_text(encoding="utf-8").splitlines()
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    own_lines = own.path.read_text(encoding="utf-8").splitlines()
    place = own_lines.index(line) + 1 if own_lines.count(line) == 1 else number
    return f"{own.path}, line {place}:\n    {line.strip()}\n{reason}"
