"""The part of `tinyres doctor` about GPUs: driver, devices, wheels, whether these fit, and the emulation.

Nothing here imports CuPy: what is wrong with an installation must be told without it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

from tinyres.kernels.cuda import driver

Lines = Iterator[tuple[str, str]]


def gpu() -> Lines:
    """Driver, devices, wheels, and a note where something is missing or does not fit."""
    known = driver.cuda_of_driver()
    yield "driver", f"for CUDA {known[0]}.{known[1]}" if known else f"none: {driver.LIBRARY} is not found"
    for index, device in enumerate(driver.devices()):
        major, minor = device.capability
        yield f"device {index}", f"{device.name}, compute capability {major}.{minor}, {device.memory / 2**30:.0f} GiB"
        yield "", f"convolutions in {' '.join(device.precisions)}"
    yield from _wheels()
    yield from _fit(known)
    yield "emulated gpu", _emulation()


def _wheels() -> Lines:
    found = driver.cupy()
    yield "cupy", f"{found[0]} {found[1]}" if found else f"not installed; for it: {driver.INSTALL}"
    numbers = {name: driver.installed(name) for name in driver.WHEELS}
    for kind, names in (("compilers", driver.COMPILERS), ("other wheels", set(numbers) - set(driver.COMPILERS))):
        there = [f"{name.removeprefix('nvidia-')} {numbers[name]}" for name in sorted(names) if numbers[name]]
        if there:
            yield kind, ", ".join(there)
    missing = [name for name, number in numbers.items() if number is None]
    if found and missing:
        yield "note:", f"not installed: {', '.join(missing)};"
        yield "", f"for them: {driver.INSTALL} (CUDA may also come from elsewhere: a toolkit, PyTorch)"


def _fit(known: driver.Version | None) -> Lines:
    """What the driver cannot read, and what to install instead."""
    if known and (newer := driver.too_new(known)):
        names = ", ".join(f"{name} {number}" for name, number in newer.items())
        yield "note:", f"newer than the driver, which reads PTX up to that of CUDA {known[0]}.{known[1]}: {names}."
        yield "", "Kernels that come to it as PTX, such as Numba's, fail with CUDA_ERROR_UNSUPPORTED_PTX_VERSION."
        yield "", "To have libraries of its version:"
        yield "", driver.fitting(known)
    if known and (reason := driver.trouble()):
        yield "note:", reason


def _emulation() -> str:
    """Whether device `cuda` is the emulated one, and whether it could be."""
    compiler = _compiler()
    if os.environ.get("TINYRES_GPU") == "emulated":
        return (
            f"on (TINYRES_GPU=emulated), by {compiler}" if compiler else "asked for, and there is no g++ to compile it"
        )
    if compiler is None:
        return "off; it needs g++, which is not found"
    return f"off; TINYRES_GPU=emulated turns it on: the CUDA kernels on the processor, by {compiler}"


def _compiler() -> str | None:
    """The first line of what g++ says of its version."""
    if shutil.which("g++") is None:
        return None
    said = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=False).stdout
    return said.partition("\n")[0].strip() or "g++"
