"""The scratch folder in which a worker lives: made for it, the only place where it may write, and removed after it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.lab.submission import PACKAGE

NAME = "tinyres-lab-"
PACKAGES = str(Path(np.__file__).parents[1])
SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/opt", "/proc", "/sys", "/dev")  # always readable


def make() -> Path:
    """A new one, by its real path."""
    return Path(os.path.realpath(tempfile.mkdtemp(prefix=NAME)))


def fill(folder: Path, texts: Sequence[Mapping[str, Any]], user: tuple[int, int] | None) -> None:
    """Lay the sources in, for tools that look at files (Numba's cache, warnings), and give all of it to `user`."""
    for text in texts:
        path = Path(text["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text["text"], encoding="utf-8")
    if user:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, *user)


def fences(folder: Path, submission: Path) -> dict[str, Any]:
    """What the worker is told for its fences. Unreadable: the library, and where other submissions and results lie."""
    unread = [str(PACKAGE), str(submission.parent), os.path.expanduser("~"), tempfile.gettempdir()]
    with contextlib.suppress(FileNotFoundError):
        unread.append(os.getcwd())
    return {
        "scratch": str(folder),
        "package": os.path.realpath(PACKAGE),
        "unread": unread,
        "read": [*SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, PACKAGES],
    }


def remove(folder: Path) -> None:
    """Remove it, also where its owner has locked himself out of parts of it."""
    for path, names, _ in os.walk(folder):
        for name in names:
            if not os.path.islink(there := os.path.join(path, name)):
                with contextlib.suppress(OSError):
                    os.chmod(there, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
