"""Between CuPy's arrays and Numba's kernels: launches in the order of CuPy's stream, so that a graph can capture them.

A CuPy array becomes one of Numba's without a copy and without waiting (`sync=False`; the default waits for the stream,
which ends a capture). The emulated GPU's arrays are memory of this computer, which is what Numba's simulator takes.

Not yet run on a GPU.
"""

from __future__ import annotations

import sys
from typing import Any

import numba
from numba import cuda as numba_cuda

from tinyres.errors import KernelError
from tinyres.kernels import cuda
from tinyres.kernels.cuda import driver

Array = Any
settings: Any = numba.config
THREADS = 128  # of a block, where nothing else decides
TOO_NEW = ("UNSUPPORTED_PTX_VERSION", "Unsupported .version")  # as the driver says it, and as the linker does

# A grid is as large as the layer is: a small one is no mistake of the person who trains a small net.
settings.CUDA_LOW_OCCUPANCY_WARNINGS = 0


def simulated() -> bool:
    """Whether the kernels run in Numba's simulator."""
    return bool(settings.ENABLE_CUDASIM)


def empty(shape: int | tuple[int, ...], dtype: Any) -> Array:
    """Memory of the GPU for what one kernel leaves to the next."""
    return cuda.module().empty(shape, dtype)


def blocks_for(count: int, each: int = THREADS) -> int:
    """How many blocks of `each` cover `count`."""
    return -(-count // each)


def launch(kernel: Any, grid: int | tuple[int, ...], block: int | tuple[int, ...], *arguments: Any) -> None:
    """Launch a kernel on the current stream.

    Parameters
    ----------
    kernel : function under `numba.cuda.jit`
    grid, block : int or tuple of int
        Blocks, and threads in a block.
    *arguments : array of the GPU or number

    Raises
    ------
    KernelError
        Numba's libraries are newer than the driver.
    """
    if not all(grid) if isinstance(grid, tuple) else not grid:
        return  # CUDA refuses a grid without blocks
    if cuda.emulated():
        _simulate(kernel, grid, block, arguments)
        return
    try:
        kernel[grid, block, _stream()](*[_on_gpu(argument) for argument in arguments])
    except Exception as error:  # driver and linker have types of their own for it, by version
        if any(said in str(error) for said in TOO_NEW):
            raise KernelError(_too_new(str(error))) from None
        raise


def _simulate(kernel: Any, grid: Any, block: Any, arguments: tuple[Any, ...]) -> None:
    from tinyres.kernels.cuda.emulation import recording

    hosts = [recording.place(a.host) if cuda.is_array(a) and a.size else getattr(a, "host", a) for a in arguments]

    def run() -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-4)  # the simulator asks all the time who waits, and holds up those it asks about
        try:
            kernel[grid, block](*hosts)
        finally:
            sys.setswitchinterval(usual)

    recording.do(run)


def _on_gpu(argument: Any) -> Any:
    return numba_cuda.as_cuda_array(argument, sync=False) if cuda.is_array(argument) else argument


def _stream() -> Any:
    """CuPy's current stream as one of Numba's."""
    import cupy

    return numba_cuda.external_stream(cupy.cuda.get_current_stream().ptr)


def _too_new(said: str) -> str:
    """The sentence about libraries that write PTX which the driver cannot read."""
    version = driver.cuda_of_driver() or (13, 0)
    detail = next(line for line in said.splitlines() if any(words in line for words in TOO_NEW)).strip()
    return (
        f"the libraries that Numba compiles with are newer than the driver, for CUDA {version[0]}.{version[1]} "
        f"({detail}); install those of its version: {driver.fitting(version)}"
    )
