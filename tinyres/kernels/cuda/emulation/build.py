"""CUDA C++ made into a library of this CPU by g++, one kernel a library, kept on disk by the text it was made from."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tinyres.errors import KernelError
from tinyres.kernels import compiling
from tinyres.kernels.cuda.sources import text
from tinyres.machine import cache_folder, variable

HEADER = "emulation.h"
OPTIONS = ("-std=c++17", "-O2", "-fno-strict-aliasing", "-ffp-contract=off", "-shared", "-fPIC", "-w")


def compiler() -> str | None:
    """The C++ compiler: TINYRES_CXX, else g++ or clang++ if there is one."""
    return variable("TINYRES_CXX") or _found()


@functools.cache
def _found() -> str | None:
    return shutil.which("g++") or shutil.which("clang++")


def options() -> tuple[str, ...]:
    """Of the compiler, with those of TINYRES_EMULATION_FLAGS, such as -fsanitize=address."""
    return (*OPTIONS, *(variable("TINYRES_EMULATION_FLAGS") or "").split())


def library(source: str, expression: str) -> ctypes.CDLL:
    """The library of one kernel.

    Parameters
    ----------
    source : str
        The text in which the kernel stands, without includes.
    expression : str
        The kernel with its template arguments, such as ``"conv<16, 16, float>"``.

    Raises
    ------
    KernelError
        No compiler, or a text that does not compile: its first error, with the line in the text of the kernel.
    """
    return _library(source, expression, compiler() or "", options())


@functools.cache
def _library(source: str, expression: str, compiler: str, options: tuple[str, ...]) -> ctypes.CDLL:
    if not compiler:
        raise KernelError("the emulated GPU needs a C++ compiler; install g++, or name one in TINYRES_CXX.")
    header = text(HEADER)
    unit = f'{header}\n#line 1 "kernel"\n{source}\nTINYRES_EXPORT(tinyres_kernel, {expression})\n'
    name = hashlib.sha256("\0".join((unit, compiler, *options)).encode()).hexdigest()[:24]
    path = _folder() / f"{name}.so"
    if not path.exists():
        _compile(unit, expression, path, compiler, options)
    return ctypes.CDLL(str(path))


@functools.cache
def _folder() -> Path:
    """Where libraries are kept; a folder of this process alone if the cache cannot be written to."""
    folder = cache_folder() / "emulated"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        compiling.compiled.kept = False
    return Path(tempfile.mkdtemp(prefix="tinyres-emulated-"))


def _compile(unit: str, expression: str, path: Path, compiler: str, options: tuple[str, ...]) -> None:
    compiling.begins()
    began = time.perf_counter()
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    try:
        done = subprocess.run(
            [compiler, *options, "-x", "c++", "-", "-o", str(unfinished)], input=unit, capture_output=True, text=True
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            raise KernelError(f"the kernel {expression} does not compile for the emulated GPU: {errors[0].strip()}")
        os.replace(unfinished, path)
    except OSError as error:
        raise KernelError(f"the kernel {expression} cannot be compiled with {compiler}: {error}.") from None
    finally:
        unfinished.unlink(missing_ok=True)
        compiling.ends(time.perf_counter() - began)
