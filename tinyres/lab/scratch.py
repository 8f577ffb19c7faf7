"""The scratch folder in which a worker lives: made for it, the only place where it may write, and removed after it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.lab.submission import PACKAGE
from tinyres.lab.worker.imports import FRAMEWORKS
from tinyres.lab.worker.limits import LINUX

NAME = "tinyres-lab-"
BYTES, FILES = 128 << 20, 4000  # that a submission may leave in it; Numba's cache has a few hundred
PACKAGES = str(Path(np.__file__).parents[1])
SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/opt", "/sys", "/dev", "/proc/self")  # always readable


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


def fences(folder: Path, submission: Path, allowed: Sequence[str]) -> dict[str, Any]:
    """What the worker is told for its fences.

    Unreadable: the library, frameworks that are not `allowed`, where other submissions and results lie, and what /proc
    tells of other processes, their environment above all.
    """
    unread = [str(PACKAGE), str(submission.parent), os.path.expanduser("~"), tempfile.gettempdir(), "/proc"]
    machine = [f"/proc/{name}" for name in (os.listdir("/proc") if LINUX else []) if not name.isdigit()]
    specs = [PathFinder.find_spec(name) for name in FRAMEWORKS if name not in allowed]
    unread += [
        os.path.dirname(spec.origin) for spec in specs if spec and spec.origin and spec.submodule_search_locations
    ]
    with contextlib.suppress(FileNotFoundError):
        unread.append(os.getcwd())
    return {
        "scratch": str(folder),
        "package": os.path.realpath(PACKAGE),
        "unread": unread,
        "read": [*SYSTEM, *machine, sys.prefix, sys.base_prefix, sys.exec_prefix, PACKAGES],
    }


def full(folder: Path) -> str:
    """What is too much in it, in bytes or in number, or ""; what is gone while it is looked at does not count."""
    count = size = 0
    waiting = [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                count += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_size
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                if count > FILES:
                    return f"more than {FILES} files"
                if size > BYTES:
                    return f"more than {BYTES >> 20} MB"
    return ""


def remove(folder: Path) -> None:
    """Remove it, also where its owner has locked himself out of parts of it, or nested it deeper than Python looks."""
    with contextlib.suppress(RecursionError):
        for path, names, _ in os.walk(folder):
            for name in names:
                if not os.path.islink(there := os.path.join(path, name)):
                    with contextlib.suppress(OSError):
                        os.chmod(there, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, str(folder)], stderr=subprocess.DEVNULL, check=False)
