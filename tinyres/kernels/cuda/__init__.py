"""CUDA: the text of the kernels (`*.cuh`), and the GPU that runs them, a real one through CuPy or the emulated one.

A kernel is launched by the name of its file and an expression; both kinds of GPU take the same launch. Which one it is
says TINYRES_GPU: unset, a real one; `emulated`, the CPU, which compiles the same text with a C++ compiler
(`emulation.h`) and shows whether results are right, never how fast they would be.

Not yet run on a GPU.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyres.errors import DeviceError, TinyresError
from tinyres.kernels.cuda import driver
from tinyres.kernels.cuda.sources import text as text
from tinyres.machine import variable


class NotCapturable(DeviceError):
    """Work that cannot be part of a graph, such as a matrix product of cuBLAS or a copy to the host."""


@dataclass(frozen=True)
class Properties:
    """What a GPU has: name, compute capability, multiprocessors; in bytes shared memory of a block, memory, free."""

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    shared_memory: int
    memory: int
    free: int


def emulated() -> bool:
    """Whether the device "cuda" is the emulated GPU."""
    return variable("TINYRES_GPU") == "emulated"


@contextmanager
def emulating() -> Iterator[None]:
    """Let the device "cuda" be the emulated GPU inside a `with` block."""
    before = os.environ.get("TINYRES_GPU")
    os.environ["TINYRES_GPU"] = "emulated"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TINYRES_GPU"]
        else:
            os.environ["TINYRES_GPU"] = before


def missing() -> str | None:
    """Why there is no GPU to use here, as half a sentence; None if there is one."""
    chosen = variable("TINYRES_GPU")
    if chosen == "emulated":
        from tinyres.kernels.cuda.emulation import build

        return None if build.compiler() else "the emulated GPU needs a C++ compiler: install g++"
    if chosen:
        return f"TINYRES_GPU is {chosen!r}, and only 'emulated' is known"
    return _missing()


@functools.cache
def _missing() -> str | None:
    if reason := driver.trouble():
        return reason
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # an ImportError of its libraries, or CuPy's own types: each is a finding
        return f"CuPy cannot use it: {str(error).splitlines()[0]}"
    return None


def module() -> Any:
    """The library of the GPU's arrays: CuPy, or the emulated one.

    Raises
    ------
    DeviceError
        There is no GPU to use; it says why.
    """
    if reason := missing():
        raise DeviceError(f"there is no GPU to use: {reason}.")
    if emulated():
        from tinyres.kernels.cuda import emulation as library

        return library
    import cupy

    return cupy


def is_array(value: object) -> bool:
    """Whether something is an array of a GPU."""
    home = type(value).__module__
    return home.partition(".")[0] == "cupy" or home.startswith(f"{__name__}.emulation")


def properties() -> Properties:
    """What the GPU has; the emulated one is as small as the smallest card that is aimed at."""
    if emulated():
        from tinyres.kernels.cuda.emulation import memory, run

        major, _, minor = (variable("TINYRES_EMULATED_CAPABILITY") or "9.0").partition(".")
        return Properties(
            "emulated on the CPU", (int(major), int(minor)), 4, run.SHARED_MEMORY, memory.limit(), memory.free()
        )
    cupy = module()
    found = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    free, total = cupy.cuda.runtime.memGetInfo()
    return Properties(
        found["name"].decode(),
        (found["major"], found["minor"]),
        found["multiProcessorCount"],
        found["sharedMemPerBlockOptin"],
        total,
        free,
    )


def capability() -> tuple[int, int]:
    """The compute capability, which kernels ask for at every choice."""
    return properties().capability if emulated() else _of_the_card().capability


def multiprocessors() -> int:
    """The number of multiprocessors, by which kernels divide their work."""
    return properties().multiprocessors if emulated() else _of_the_card().multiprocessors


@functools.cache
def _of_the_card() -> Properties:
    """What does not change while a process runs."""
    return properties()


def release() -> None:
    """Give memory that was used and is free now back to the GPU."""
    if emulated():
        from tinyres.kernels.cuda.emulation import memory

        memory.release()
    else:
        module().get_default_memory_pool().free_all_blocks()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is the error of a GPU that has no room, of CuPy or of the emulated one."""
    return isinstance(error, MemoryError) and type(error).__name__ == "OutOfMemoryError"


def wanted_bytes(error: MemoryError) -> int | None:
    """How many bytes were asked for when there was no room; None where the error does not say."""
    found = re.search(r"allocating ([\d,]+) bytes", str(error))
    return int(found[1].replace(",", "")) if found else None


def launch(
    file: str | Path, expression: str, grid: int | tuple[int, ...], block: int | tuple[int, ...], *arguments: Any,
    shared: int = 0,
) -> None:  # fmt: skip
    """Launch a kernel.

    Parameters
    ----------
    file : str or Path
        Where its text stands: a name in this folder, such as ``"conv.cuh"``, or the path of a file.
    expression : str
        The kernel with its template arguments, such as ``"conv<16, 16, float>"``.
    grid, block : int or tuple of int
        Blocks, and threads in a block.
    *arguments : array of the GPU, None, or NumPy scalar
        None is a null pointer; a scalar has the type that the kernel declares (``numpy.int32``).
    shared : int
        Bytes of shared memory.

    Raises
    ------
    KernelError
        A text that does not compile; in emulation also arguments that are not those of the kernel, and threads that
        wait for each other for ever.
    """
    blocks, threads = _three(grid), _three(block)
    if emulated():
        from tinyres.kernels.cuda.emulation import run

        run.function(text(file), expression).launch(blocks, threads, arguments, shared)
    else:
        from tinyres.kernels.cuda import real

        real.launch(file, expression, blocks, threads, arguments, shared)


def _three(size: int | tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*((size,) if isinstance(size, int) else size), 1, 1)[:3]
    return x, y, z


def capture(step: Callable[[], Any], warmups: int = 1) -> Any:
    """Capture the work of a function into a graph that can be launched again and again.

    Parameters
    ----------
    step : callable
        Launches kernels, without reading anything from the GPU; called `warmups` times for real before the capture,
        which does not carry it out. Numbers it passes are frozen: what changes must lie in the GPU's memory.
    warmups : int
        So that everything is compiled.

    Returns
    -------
    Graph
        With ``launch()``, and ``result``: what `step` returned, arrays that each launch fills anew.

    Raises
    ------
    NotCapturable
        Something in there cannot be captured; nothing of it was done.
    """
    release()  # what is free by now would lie beside the graph's own memory
    if emulated():
        from tinyres.kernels.cuda.emulation.graph import Graph as Emulated

        kind: Any = Emulated
    else:
        from tinyres.kernels.cuda.real import Graph as kind
    try:
        return kind(step, warmups)
    except TinyresError:
        raise
    except RuntimeError as error:  # of a copy to the host, and of cuBLAS, CuPy says it with "capture" or "capturing"
        if "captur" not in str(error).lower():
            raise  # a kernel that went wrong, say
        raise NotCapturable(f"this work cannot be captured in a graph: {str(error).splitlines()[0]}") from error


def capturing() -> bool:
    """Whether work is being captured rather than done."""
    if emulated():
        from tinyres.kernels.cuda.emulation import recording

        return recording.capturing()
    from tinyres.kernels.cuda import real

    return real.capturing()


def stream() -> AbstractContextManager[Any]:
    """Everything inside goes to the stream on which graphs are launched, so that it happens in order with them."""
    if emulated():
        return nullcontext()
    from tinyres.kernels.cuda import real

    return real.on_stream()


def synchronize() -> None:
    """Wait until the GPU has done everything."""
    if not emulated():
        from tinyres.kernels.cuda import real

        real.synchronize()
