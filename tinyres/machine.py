"""What this machine offers: cores, vector instructions, and the matrix product behind NumPy.

OpenBLAS, which NumPy's wheels bundle, chooses its kernels once, when it is loaded, from the processor it believes to
see; it tells its choice through C functions that are asked here (their names carry a prefix and a suffix by build).
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# NumPy's names for vectors of 512 bits, and OpenBLAS' names for the kernels that use them.
AVX512 = ("X86_V4", "AVX512F", "AVX512_SKX")
AVX512_KERNELS = ("SkylakeX", "Cooperlake", "Sapphirerapids", "Zen4", "Zen5")


@dataclass(frozen=True)
class Blas:
    """The library behind NumPy's matrix product: `kernel` and `threads` are known only where it can be asked."""

    name: str
    version: str
    kernel: str | None = None
    threads: int | None = None


def variable(name: str, environment: Any = os.environ) -> str | None:
    """An environment variable, or None, ten times as quick as `os.environ.get`: kernels ask hundreds of times a step.

    `os.environ` encodes the name anew each time, and raises and catches an error within where there is none. Where
    Python keeps the variables otherwise than CPython does, this asks `os.environ`.
    """
    data = getattr(environment, "_data", None)
    if not isinstance(data, dict):
        found: str | None = environment.get(name)
        return found
    raw = data.get(_encoded(name))
    return raw if raw is None or isinstance(raw, str) else os.fsdecode(raw)


@functools.cache
def _encoded(name: str) -> Any:
    """The name as the keys of `os.environ` are kept."""
    return os.environ.encodekey(name)


def cache_folder() -> Path:
    """The user's folder for what tinyres fetched, decoded or compiled: ``TINYRES_CACHE``, or the system's own place."""
    if chosen := variable("TINYRES_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("tinyres")).expanduser()


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def simd() -> list[str]:
    """The vector extensions that NumPy was built for and found here, in its own names."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return [*extensions["baseline"], *extensions.get("found", [])]


def blas() -> Blas:
    """The BLAS of NumPy, asked for the kernel it chose and its threads if it is an OpenBLAS."""
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name, version = built.get("name", "unknown"), built.get("version", "unknown")
    for path in _openblas_files():
        library = ctypes.CDLL(str(path))
        for prefix in ("scipy_", ""):
            for suffix in ("64_", "_64", ""):
                ask = getattr(library, f"{prefix}openblas_get_corename{suffix}", None)
                count = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
                if ask and count:
                    ask.restype = ctypes.c_char_p
                    return Blas(name, version, ask().decode(), int(count()))
    return Blas(name, version)


def blas_wastes_vectors(blas: Blas, extensions: list[str]) -> bool:
    """Whether OpenBLAS chose kernels of half the vector width that the processor has."""
    return blas.kernel is not None and blas.kernel not in AVX512_KERNELS and any(name in AVX512 for name in extensions)


def _openblas_files() -> Iterator[Path]:
    """The OpenBLAS that this process has loaded, NumPy's own first."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):  # Linux and Windows wheels, macOS wheels
        yield from sorted(folder.glob("*openblas*"))
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return
    yield from sorted({Path(line.split(maxsplit=5)[5]) for line in maps if "openblas" in line.rsplit("/", 1)[-1]})
