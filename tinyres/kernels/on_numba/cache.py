"""Where compiled kernels are kept between processes, and the clock of those that are compiled.

Numba keeps machine code in NUMBA_CACHE_DIR if that is set, else beside the sources, else in the user's cache folder,
and compiles anew when the file of a function has changed. Two things it leaves open are settled here: it refuses to
define a function where none of these can be written to (then the code is kept until the process ends), and it does not
notice that a file has changed from which that of the function imports the rest of its code.
"""

from __future__ import annotations

import atexit
import hashlib
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import event

from tinyres.kernels import compiling

IMPORT = re.compile(rf"^from {re.escape(__package__)}\.(\w+) import", re.MULTILINE)
NOT_COMPILED = ("cache", "threads")  # what a kernel's file imports from these is Python


class _Clock(event.Listener):
    """Tells when a function is compiled; those that it calls are part of it."""

    depth = 0
    began = 0.0

    def on_start(self, event: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            self.began = time.perf_counter()
            compiling.begins()

    def on_end(self, event: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            compiling.ends(time.perf_counter() - self.began)


def prepare() -> None:
    """To be called once, before a kernel is defined."""
    register: Any = event.register
    register("numba:compile", _Clock())
    kept = folder()
    if kept is None:
        compiling.compiled.kept = False
        settings: Any = numba.config
        settings.CACHE_DIR = tempfile.mkdtemp(prefix="tinyres-kernels-")
        atexit.register(shutil.rmtree, settings.CACHE_DIR, ignore_errors=True)
    else:
        drop_stale(Path(__file__).parent, kept)


def drop_stale(sources: Path, folder: Path) -> None:
    """Remove from the cache what was compiled from a file whose imports from this package are no longer the same.

    Parameters
    ----------
    sources : Path
        The folder of the kernels' files.
    folder : Path
        Where Numba keeps what it compiled of them: `FILE.FUNCTION-*.nbi` and `.nbc`; a `FILE.imports` is put beside
        them, the digest of all that FILE imports from.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sources.glob("*.py")}
    for name in texts:
        digest = hashlib.sha256("".join(texts[other] for other in sorted(_imports(name, texts))).encode()).hexdigest()
        stamp = folder / f"{name}.imports"
        with suppress(OSError):
            if _imports(name, texts) and not (stamp.exists() and stamp.read_text() == digest):
                for compiled in folder.glob(f"{name}.*.nb[ic]"):
                    compiled.unlink(missing_ok=True)
                stamp.write_text(digest)


def _imports(name: str, texts: dict[str, str]) -> set[str]:
    """The files, of those given, that a file imports compiled code from, at first or at second hand."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in IMPORT.findall(texts[waiting.pop()]):
            if other in texts and other not in found and other not in NOT_COMPILED:
                found.add(other)
                waiting.append(other)
    return found


def _probe() -> None:
    """Never called: where would it be kept?"""


def folder() -> Path | None:
    """Where Numba keeps the kernels, or None."""
    try:
        return Path(str(numba.njit(cache=True)(_probe).stats.cache_path))
    except RuntimeError:  # "no locator available"
        return None
