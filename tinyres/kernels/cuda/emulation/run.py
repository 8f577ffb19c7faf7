"""Launch a kernel on the emulated GPU: check what CUDA would not, then run it, or write it down for a graph."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.errors import KernelError
from tinyres.kernels.cuda.emulation import build, recording
from tinyres.kernels.cuda.emulation.array import ndarray
from tinyres.machine import variable

# The letters of emulation.h for the types of C++, and what NumPy calls them.
TYPES = {
    "f": "float32", "d": "float64", "b": "bool", "c": "int8", "C": "uint8",
    "i": "int32", "I": "uint32", "l": "int64", "L": "uint64",
}  # fmt: skip
C_TYPES: dict[str, Any] = {
    "f": ctypes.c_float, "d": ctypes.c_double, "b": ctypes.c_bool, "c": ctypes.c_int8, "C": ctypes.c_uint8,
    "i": ctypes.c_int32, "I": ctypes.c_uint32, "l": ctypes.c_int64, "L": ctypes.c_uint64,
}  # fmt: skip
FAILURES = {
    1: "there is no memory for its threads",
    2: "its threads wait at barriers that not all of them reach",
    3: "a block has no threads, or more than 1024",
}
SHARED_MEMORY = 99 * 1024  # bytes a block may have on the cards of consumers, the least of those that are aimed at
Dims = tuple[int, int, int]
Step = Callable[[], None]


class Function:
    """One compiled kernel."""

    def __init__(self, source: str, expression: str) -> None:
        library = build.loaded(source, expression)
        self.expression = expression
        self.call = library.tinyres_kernel
        described = library.tinyres_kernel_signature
        described.restype = ctypes.c_char_p
        self.signature = tuple(described().decode().split())

    def launch(self, grid: Dims, block: Dims, arguments: tuple[Any, ...], shared: int) -> None:
        """Check the arguments against the signature and run, or write down."""
        if len(arguments) != len(self.signature):
            raise KernelError(f"{self.expression} takes {len(self.signature)} arguments and got {len(arguments)}.")
        if not min(grid) > 0 or max(grid[1:]) > 65535 or grid[0] > 2**31 - 1:
            raise KernelError(f"{self.expression}: a grid of {grid} blocks; 1 to 65535 are wanted, more along x only.")
        if shared > SHARED_MEMORY:
            raise KernelError(f"{self.expression} asks for {shared:,} bytes of shared memory; {SHARED_MEMORY:,} fit.")
        values = [
            self._value(position, code, argument)
            for position, (code, argument) in enumerate(zip(self.signature, arguments, strict=True))
        ]
        recording.do(functools.partial(self._run, grid, block, values, shared))

    def _value(self, position: int, code: str, argument: Any) -> Any:
        """The argument as a C value; an error where it is not what the kernel declares."""
        said = f"{self.expression}, argument {position}"
        if code[0] != "P":
            if not isinstance(argument, np.generic) or argument.dtype.name != TYPES[code]:
                kind = argument.dtype.name if isinstance(argument, np.generic) else type(argument).__name__
                raise KernelError(f"{said} is a {kind}; numpy.{TYPES[code]} is wanted.")
            return C_TYPES[code](argument.item())
        if argument is None:
            return ctypes.c_void_p()
        if not isinstance(argument, ndarray):
            raise KernelError(f"{said} is a {type(argument).__name__}; an array of the GPU is wanted.")
        if code[1] != "?" and argument.dtype.name != TYPES[code[1]]:
            raise KernelError(f"{said} is an array of {argument.dtype.name}; {TYPES[code[1]]} is wanted.")
        return ctypes.c_void_p(argument.data.ptr)

    def _run(self, grid: Dims, block: Dims, values: list[Any], shared: int) -> None:
        arguments = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        backward = variable("TINYRES_EMULATION_ORDER") == "reversed"
        failure = self.call(
            (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block), ctypes.c_size_t(shared), arguments, int(backward)
        )
        if failure:
            raise KernelError(f"{self.expression}: {FAILURES[failure]}.")


@functools.cache
def function(source: str, expression: str) -> Function:
    """The compiled kernel of a text."""
    return Function(source, expression)
