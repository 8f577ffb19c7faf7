"""The text of CUDA C++ kernels: files of this folder, or somebody's own, with what they include put in its place.

One text without includes serves NVRTC, cuda-core and g++ alike, and a cache that is keyed by the text cannot miss a
change of a file that it includes.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from tinyres.errors import KernelError

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'^[ \t]*#include[ \t]+"([^"]+)"[^\n]*$', re.MULTILINE)
ONCE = re.compile(r"^[ \t]*#pragma[ \t]+once[^\n]*\n", re.MULTILINE)


def text(file: str | Path) -> str:
    """The source of a file, each file that it includes by name put in once.

    Parameters
    ----------
    file : str or Path
        A name in this folder, such as ``"conv.cuh"``, or the path of a file elsewhere.

    Raises
    ------
    KernelError
        A file that is not there.
    """
    path = Path(file) if Path(file).is_absolute() or Path(file).parent != Path() else FOLDER / file
    return _text(path) if path.parent == FOLDER else _inlined(path, set())


@functools.cache
def _text(path: Path) -> str:
    """A file of ours does not change while a process runs; somebody's own may."""
    return _inlined(path, set())


def _inlined(path: Path, done: set[Path]) -> str:
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise KernelError(f"cannot read the CUDA file {path}: {error.strerror or error}; check its name.") from None

    def included(match: re.Match[str]) -> str:
        beside = path.parent / match[1]
        other = beside if beside.exists() else FOLDER / match[1]
        if other in done:
            return ""
        done.add(other)
        return _inlined(other, done)

    return INCLUDE.sub(included, ONCE.sub("", source))
