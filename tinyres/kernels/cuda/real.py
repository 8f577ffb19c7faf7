"""The GPU through CuPy: memory and streams are CuPy's, every kernel is compiled from our text. Not yet run on a GPU."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tinyres.errors import KernelError
from tinyres.kernels.cuda.sources import text

DEFAULT_SHARED = 48 * 1024  # bytes a block gets without asking for more
OPTIONS = ("-std=c++17",)  # CuPy adds -ftz=true: numbers too small for all of float32's digits become 0
NO_MEMORY = 2  # cudaErrorMemoryAllocation


@functools.cache
def _compiled(source: str, expression: str, device: int) -> Any:
    import cupy

    module = cupy.RawModule(code=source, options=OPTIONS, name_expressions=(expression,))
    try:
        return module.get_function(expression)
    except cupy.cuda.compiler.CompileException as error:
        errors = [line for line in str(error).splitlines() if "error" in line] or str(error).splitlines()
        raise KernelError(f"the kernel {expression} does not compile: {errors[0].strip()}") from None


def launch(file: str | Path, expression: str, grid: Any, block: Any, arguments: tuple[Any, ...], shared: int) -> None:
    """Launch a kernel on CuPy's current stream."""
    import cupy

    function = _compiled(text(file), expression, cupy.cuda.Device().id)
    if shared > DEFAULT_SHARED and function.max_dynamic_shared_size_bytes < shared:
        function.max_dynamic_shared_size_bytes = shared
    function(grid, block, tuple(0 if a is None else a for a in arguments), shared_mem=shared)


class Graph:
    """A captured step: its work is launched again and again with a call each."""

    def __init__(self, step: Callable[[], Any], warmups: int) -> None:
        import cupy

        self._stream = stream()
        self._pool = cupy.cuda.MemoryPool(_new_memory)  # nobody else may be given memory that the graph writes to
        cupy.cuda.Device().synchronize()
        with self._stream, cupy.cuda.using_allocator(self._pool.malloc):
            for _ in range(warmups):  # compiles, loads modules, fills the pool
                step()
            self._stream.synchronize()
            self._stream.begin_capture()
            try:
                self.result = step()
            except BaseException:
                self._abandon()
                raise
            self._graph = self._stream.end_capture()
            self._graph.upload(self._stream)

    def _abandon(self) -> None:
        """End a capture that failed; what CUDA says of it is less than what the step said."""
        import cupy

        try:
            self._stream.end_capture()
        except cupy.cuda.runtime.CUDARuntimeError:
            return

    def launch(self) -> None:
        """Do the step once more; returns before it is done."""
        self._graph.launch(self._stream)


def _new_memory(size: int) -> Any:
    """Memory that no pool has, for the pool of a graph.

    Where CUDA has none, a pool of CuPy's gives its free blocks back to it and asks again. What is captured by then
    still writes to those blocks, so here others give theirs, and then there is an end.
    """
    import cupy

    try:
        return _of_cuda(size)
    except cupy.cuda.memory.OutOfMemoryError:
        gc.collect()
        cupy.get_default_memory_pool().free_all_blocks()
    return _of_cuda(size)


def _of_cuda(size: int) -> Any:
    """Memory from CUDA; where there is none, an error that pools let through."""
    import cupy

    try:
        return cupy.cuda.MemoryPointer(cupy.cuda.Memory(size), 0)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if error.status != NO_MEMORY:
            raise
        free, total = cupy.cuda.runtime.memGetInfo()
        raise cupy.cuda.memory.OutOfMemoryError(size, total - free) from None


@functools.cache
def stream() -> Any:
    """The stream of training: one that can be captured, which the default stream cannot."""
    import cupy

    return cupy.cuda.Stream(non_blocking=True)


def on_stream() -> AbstractContextManager[Any]:
    """Everything inside goes to the stream of training."""
    made: AbstractContextManager[Any] = stream()
    return made


def capturing() -> bool:
    """Whether CuPy's current stream is being captured."""
    import cupy

    return bool(cupy.cuda.get_current_stream().is_capturing())


def synchronize() -> None:
    """Wait until the GPU has done everything."""
    import cupy

    cupy.cuda.Device().synchronize()
