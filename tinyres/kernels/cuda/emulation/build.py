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
OPTIONS = ("-std=c++17", "-O2", "-fno-strict-aliasing", "-ffp-contract=off", "-fPIC", "-w")


def compiler() -> str | None:
    """The C++ compiler: TINYRES_CXX, else g++ or clang++ if there is one."""
    return variable("TINYRES_CXX") or _found()


@functools.cache
def _found() -> str | None:
    return shutil.which("g++") or shutil.which("clang++")


def options() -> tuple[str, ...]:
    """Of the compiler, with those of TINYRES_EMULATION_FLAGS, such as -fsanitize=address."""
    return (*OPTIONS, *(variable("TINYRES_EMULATION_FLAGS") or "").split())


def loaded(source: str, expression: str) -> ctypes.CDLL:
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
    return _loaded(source, expression, compiler() or "", options())


@functools.cache
def _loaded(source: str, expression: str, compiler: str, options: tuple[str, ...]) -> ctypes.CDLL:
    if not compiler:
        raise KernelError("the emulated GPU needs a C++ compiler; install g++, or name one in TINYRES_CXX.")
    header = _header(compiler, options)
    unit = f'#line 1 "kernel"\n{source}\nTINYRES_EXPORT(tinyres_kernel, {expression})\n'
    path = _folder() / f"{_digest(header.name, unit, compiler, *options)}.so"
    if not path.exists():
        error = _compile(path, [compiler, *options, "-shared", "-include", str(header), "-x", "c++", "-"], unit)
        if error:
            raise KernelError(f"the kernel {expression} does not compile for the emulated GPU: {error}")
    return ctypes.CDLL(str(path))


@functools.cache
def _header(compiler: str, options: tuple[str, ...]) -> Path:
    """`emulation.h` in the folder of the libraries, with its compiled form beside it, which halves every build."""
    header = text(HEADER)
    path = _folder() / f"{_digest(header, compiler, *options)}.h"
    if not path.exists():
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        unfinished.write_text(header, encoding="utf-8")
        os.replace(unfinished, path)
        # where g++ looks for it; a compiler that does not, or cannot make one, reads the text
        _compile(path.with_suffix(".h.gch"), [compiler, *options, "-x", "c++-header", str(path)])
    return path


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


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


def _compile(path: Path, command: list[str], unit: str = "") -> str | None:
    """Make a file from a text, whole or not at all; what the compiler said where it would not."""
    compiling.begins()
    began = time.perf_counter()
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    try:
        done = subprocess.run([*command, "-o", str(unfinished)], input=unit, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            return errors[0].strip() if errors else f"{command[0]} ended with exit code {done.returncode}"
        os.replace(unfinished, path)
    except OSError as error:
        raise KernelError(f"{command[0]} cannot compile for the emulated GPU: {error}.") from None
    finally:
        unfinished.unlink(missing_ok=True)
        compiling.ends(time.perf_counter() - began)
    return None
