"""Student files out of the installed library: what stands between two markers is taken out.

    # BEGIN SOLUTION conv.forward           # YOUR CODE HERE  [conv.forward]
    # STEP multiply, block by block    ->   # STEP multiply, block by block
    y = columns @ w                         raise NotImplementedError("conv.forward is not written yet")
    # END SOLUTION

The markers are nbgrader's, known by their words alone. Lines that begin with `# STEP` stay, and so does everything
outside, but that a NumPy kernel of ours is entered as the kernel "student". What a student gets is thus always of the
very version that is installed, and it is checked to be a Python file before anybody gets it.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinyres.errors import LabError

BEGIN, END, STEP = "BEGIN SOLUTION", "END SOLUTION", "# STEP"
BACKEND = "student"
_KERNEL = re.compile(r'^(\s*@kernel\("\w+", )"(?:numpy|numba_cuda)(?:\.\w+)?"')


@dataclass(frozen=True)
class Region:
    """A solution: its task, and its lines by their numbers in the file, counted from 0, markers not included."""

    key: str
    lines: range
    indent: str


def source(module: str) -> str:
    """The text of an installed module; LabError if there is no such module, or not as a file."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise LabError(f"there is no file for the module {module}, from which a lab is derived; install tinyres again.")
    return Path(spec.origin).read_text(encoding="utf-8")


def regions(text: str, name: str) -> list[Region]:
    """The solution regions of a file, in order.

    Raises
    ------
    LabError
        A region that is nested, not closed, closed twice or without a task's name.
    """
    found: list[Region] = []
    opened: tuple[str, int, str] | None = None
    for number, line in enumerate(text.splitlines()):
        if BEGIN in line:
            key = line.split(BEGIN, 1)[1].strip()
            if opened:
                raise LabError(f"{name}, line {number + 1}: a solution begins inside that of {opened[0]}.")
            if not key:
                raise LabError(f"{name}, line {number + 1}: a solution begins and does not say of which task.")
            opened = key, number, line[: len(line) - len(line.lstrip())]
        elif END in line:
            if not opened:
                raise LabError(f"{name}, line {number + 1}: a solution ends that never began.")
            found.append(Region(opened[0], range(opened[1] + 1, number), opened[2]))
            opened = None
    if opened:
        raise LabError(f"{name}: the solution of {opened[0]}, begun in line {opened[1] + 1}, never ends.")
    return found


def stub(text: str, name: str) -> str:
    """The file as a student gets it.

    Raises
    ------
    LabError
        Markers that do not pair, or a stub that is no Python.
    """
    lines, kept = text.splitlines(), 0
    out: list[str] = []
    for region in regions(text, name):
        out += _renamed(lines[kept : region.lines.start - 1])
        out.append(f"{region.indent}# YOUR CODE HERE  [{region.key}]")
        out += [lines[i] for i in region.lines if lines[i].lstrip().startswith(STEP)]
        out.append(f'{region.indent}raise NotImplementedError("{region.key} is not written yet")')
        kept = region.lines.stop + 1
    out += _renamed(lines[kept:])
    result = "\n".join(out) + "\n"
    _parsed(result, name)
    return result


def solution(text: str) -> str:
    """The file as a student would hand it in who wrote what the library has: its markers gone, its kernels renamed."""
    lines = [line for line in text.splitlines() if BEGIN not in line and END not in line]
    return "\n".join(_renamed(lines)) + "\n"


def solution_lines(text: str, name: str) -> Iterator[str]:
    """The lines that must not reach a student: those of the regions, without indentation, comments and the trivial."""
    lines = text.splitlines()
    for region in regions(text, name):
        for i in region.lines:
            line = lines[i].split("  #")[0].strip()
            if line and not line.startswith("#") and not _trivial(line):
                yield line


def _trivial(line: str) -> bool:
    """Whether anybody would write that line: no more than one name in it, or fewer than twelve letters."""
    return len(re.findall(r"[A-Za-z_]\w*", line)) < 3 or len(re.sub(r"\W", "", line)) < 8


def _renamed(lines: list[str]) -> list[str]:
    return [_KERNEL.sub(rf'\1"{BACKEND}"', line) for line in lines]


def _parsed(text: str, name: str) -> None:
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise LabError(
            f"{name}: without its solutions it is no Python (line {error.lineno}: {error.msg}); move the markers."
        ) from None
