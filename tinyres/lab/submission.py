"""What a worker is told of a submission: the texts of its files and of what they may import, and its environment.

A stranger's folder is read here, in the grading process, and only as text: no links, nothing large, nothing run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from importlib.util import decode_source
from pathlib import Path
from typing import Any

from tinyres.errors import LabError
from tinyres.lab import catalogue
from tinyres.lab.task import Lab

PACKAGE = Path(__file__).parents[1]
FILE_BYTES, FILES = 1 << 20, 64  # of a submission
KEPT = ("PATH", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT", "TINYRES_LAB_GPU")
ONE_THREAD = ("OPENBLAS", "OMP", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")


def read(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The Python files of a folder: (text by name, why it cannot be used by name)."""
    texts, unusable = {}, {}
    if not folder.is_dir():
        raise LabError(f"{folder} is no folder: name the one that holds the submission")
    for path in sorted(folder.glob("*.py"))[:FILES]:
        try:
            texts[path.name] = source_text(path)
        except LabError as error:
            unusable[path.name] = str(error)
    return texts, unusable


def source_text(path: Path) -> str:
    """The text of a Python file that a stranger has sent; LabError if it is none."""
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            raise LabError(f"{path.name} is a link or no file: hand in the file itself")
        if about.st_size > FILE_BYTES:
            raise LabError(f"{path.name} has more than {FILE_BYTES >> 20} MB: hand in the source alone")
        return decode_source(path.read_bytes())
    except (SyntaxError, UnicodeDecodeError, LookupError):
        raise LabError(f"{path.name} is no text in UTF-8: save it as such") from None
    except OSError as error:
        raise LabError(f"{path.name} cannot be read: {error.strerror}") from None


def library_text(module: str) -> str:
    """The source of a module of the installed library."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.read_text(encoding="utf-8")


def modules(lab: Lab, texts: Mapping[str, str], others: Mapping[str, Path], scratch: Path) -> list[dict[str, Any]]:
    """All that a submission may import by text, as `worker/imports.py` takes it: the student's own files first.

    Files of earlier labs come with what their labs provide.
    """
    full = {source.file: source.module for source in lab.sources}
    found: list[dict[str, Any]] = []
    for name, text in texts.items():
        module = full.get(name, name.removesuffix(".py"))
        found.append({"module": module, "path": str(scratch / name), "name": name, "text": text})
    for module, path in others.items():
        if module not in full.values():
            name = f"{path.parent.name}/{path.name}"
            there = {"module": module, "path": str(scratch / "earlier" / name), "name": name}
            found.append({**there, "text": source_text(path), "earlier": True})
    for name, module in full.items():
        if name not in texts:  # an import of it says so, and is no theft
            text = f'raise ImportError("{name} is missing (or no readable text): it belongs beside the other files")'
            found.append({"module": module, "path": str(scratch / "missing" / name), "text": text, "own": False})
    taken = {each["module"] for each in found}
    labs = [each for each in catalogue.labs() if others and {source.module for source in each.sources} & others.keys()]
    for module in dict.fromkeys(module for each in (lab, *labs) for module in each.provides):
        if module not in taken:
            given = scratch / "given" / (module + ".py")
            found.append({"module": module, "path": str(given), "text": library_text(module), "own": False})
    return found


def header(lab: Lab) -> dict[str, Any]:
    """What a worker is told of the lab: the adapter's text, frameworks that it may use, limits that it sets itself."""
    path = lab.folder / "adapter.py"
    return {
        "adapter": path.read_text(encoding="utf-8") if path.is_file() else "",
        "allowed": [package.split("-")[0] for package in lab.requires],
        "memory": 0 if on_gpu(lab) else lab.limits.memory,
        "cpu": lab.limits.cpu,
    }


def environment(lab: Lab, scratch: Path) -> dict[str, str]:
    """All the environment of a worker: one thread, caches in its own folder, nothing of the person's."""
    here = str(scratch)
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    threads = {f"{library}_NUM_THREADS": "1" for library in ONE_THREAD}
    caches = {"NUMBA_CACHE_DIR": f"{here}/numba", "MPLCONFIGDIR": here, "CUDA_CACHE_PATH": here, "MPLBACKEND": "Agg"}
    return {**kept, **threads, **caches, "HOME": here, "TMPDIR": here, "LC_ALL": "C.UTF-8", **lab.environment}


def on_gpu(lab: Lab) -> bool:
    """A real GPU is used. Its driver takes more address space than any limit would allow."""
    return os.environ.get("TINYRES_LAB_GPU") == "1" and any(name.startswith(("cupy", "numba")) for name in lab.requires)


def user() -> tuple[tuple[int, int] | None, str]:
    """(user and group under which a worker runs, or None for this process's own; what is wrong with the wish)."""
    name = os.environ.get("TINYRES_LAB_USER", "")
    if not name:
        return None, ""
    if os.name != "posix" or os.geteuid():
        return None, f"the worker does not run as {name} (TINYRES_LAB_USER): only root can give it another user"
    import pwd

    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None, f"the worker does not run as {name} (TINYRES_LAB_USER): there is no such user"
    return (found.pw_uid, found.pw_gid), ""
