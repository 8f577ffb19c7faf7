"""Compile a kernel for an architecture without having one: what it needs of a card, known before anybody runs it.

NVRTC and ptxas, both in NVIDIA's wheels, turn the text into machine code for any architecture; no driver and no GPU is
asked. ptxas then says how many registers a thread takes, and how many bytes it had to spill from registers to memory.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyres.errors import KernelError
from tinyres.kernels.cuda.sources import text

# The cards that are aimed at, by architecture. sm_75 has no tensor cores for TF32 and bfloat16.
ARCHITECTURES = {
    "sm_75": "Turing",
    "sm_80": "A100",
    "sm_86": "GeForce 30",
    "sm_89": "GeForce 40, L4",
    "sm_90": "H100, H200",
    "sm_120": "GeForce 50",
}
SHARED_MEMORY = 99 * 1024  # bytes a block may have on the smallest of them, sm_86, 89 and 120; sm_75 has 64 KiB
USED = re.compile(r"Used (\d+) registers")
SPILLED = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
STACK = re.compile(r"(\d+) bytes stack frame")
SMEM = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Needs:
    """What a compiled kernel needs: registers a thread, bytes of static shared memory, stack and spills."""

    registers: int
    shared: int
    stack: int
    spilled: int


def missing() -> str | None:
    """Why nothing can be compiled here, as half a sentence; None if it can."""
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.core") is None:
        return 'cuda-core is not installed; install it with python -m pip install "tinyres[cuda]"'
    return None


def compiled(file: str | Path, expression: str, architecture: str = "sm_90") -> Needs:
    """Compile one kernel to machine code.

    Parameters
    ----------
    file : str or Path
        Where its text stands: a name in this folder, such as ``"conv.cuh"``, or the path of a file.
    expression : str
        The kernel with its template arguments, such as ``"conv<Tf32, 16, 4>"``.
    architecture : str
        Such as ``"sm_90"``; `ARCHITECTURES` lists those that are aimed at.

    Returns
    -------
    Needs

    Raises
    ------
    KernelError
        A text that does not compile (its first error), or no compiler; it says which extra installs one.
    """
    return compiled_together(file, (expression,), architecture)[expression]


@functools.cache
def compiled_together(file: str | Path, expressions: tuple[str, ...], architecture: str = "sm_90") -> dict[str, Needs]:
    """Compile several kernels of a file, which reads its text once: expression -> what it needs.

    Parameters
    ----------
    file : str or Path
    expressions : tuple of str
    architecture : str

    Returns
    -------
    dict of str to Needs

    Raises
    ------
    KernelError
        As `compiled`.
    """
    if reason := missing():
        raise KernelError(f"kernels cannot be compiled for a GPU here: {reason}.")
    core: Any = importlib.import_module("cuda.core")  # ships no types
    # as CuPy compiles: float32 that is too small for its exponent is zero, and what is not marked is for the GPU
    options = core.ProgramOptions(
        arch=architecture, std="c++17", ptxas_options=["-v"], ftz=True, device_as_default_execution_space=True
    )
    log = io.StringIO()
    try:
        made = core.Program(text(file), "c++", options).compile("cubin", expressions, logs=log)
    except Exception as error:  # cuda-core's own type, or one of the bindings'
        errors = [line for line in f"{error}\n{log.getvalue()}".splitlines() if "error" in line] or [str(error)]
        raise KernelError(
            f"the kernel {expressions[0]} of {Path(file).name} does not compile for {architecture}: {errors[0].strip()}"
        ) from None
    parts = log.getvalue().split("Compiling entry function '")[1:]
    said = {part.partition("'")[0]: part for part in parts}
    names = {expression: _text(made.symbol_mapping[expression]) for expression in expressions}
    return {expression: _read(said[name]) for expression, name in names.items()}


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _read(said: str) -> Needs:
    """The numbers of ptxas about one kernel."""

    def number(pattern: re.Pattern[str]) -> int:
        found = pattern.search(said)
        return sum(map(int, found.groups())) if found else 0

    return Needs(number(USED), number(SMEM), number(STACK), number(SPILLED))
