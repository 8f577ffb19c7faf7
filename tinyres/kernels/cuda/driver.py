"""NVIDIA's driver and the wheels that compile for it, asked without CuPy: what there is, and whether the two fit.

The trap of PTX versions: NVRTC and NVVM write PTX of their own CUDA version, and a driver reads only what is not newer
than itself: PTX of CUDA 13.5 on a machine with a driver for 13.0 ends in `CUDA_ERROR_UNSUPPORTED_PTX_VERSION`. What was
made into machine code before the driver sees it (CuPy's way with kernels) may be newer within the major version, what
comes as PTX (Numba's) may not; the remedy is to install libraries of the driver's version, and to update nothing else.

The driver is `libcuda`, reached by ctypes: `cuDriverGetVersion` needs no device and no initialisation.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

Version = tuple[int, int]

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
INSTALL = 'python -m pip install "tinyres[cuda]"'
CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy")  # the names under which CuPy is published; the first is ours
COMPILERS = ("nvidia-cuda-nvrtc", "nvidia-nvvm", "nvidia-nvjitlink")  # their version must not be above the driver's
WHEELS = ("numba-cuda", "cuda-core", *COMPILERS, "nvidia-cuda-runtime", "nvidia-cublas")
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
TENSOR_CORES = (8, 0)  # from here on there are TF32 and bfloat16 products


@dataclass(frozen=True)
class Device:
    """One GPU as the driver describes it."""

    name: str
    capability: Version
    memory: int  # bytes

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions of a convolution's products that it can be asked for."""
        return ("fp32", "3xtf32", "tf32", "bf16") if self.capability >= TENSOR_CORES else ("fp32",)


def cuda_of_driver() -> Version | None:
    """The newest CUDA that the driver knows, such as (13, 0); None without a driver."""
    library = _library()
    number = ctypes.c_int()
    if library is None or library.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return None
    return number.value // 1000, number.value % 1000 // 10


def devices() -> list[Device]:
    """The GPUs of this machine that CUDA_VISIBLE_DEVICES leaves visible; none without a driver."""
    library = _library()
    count = ctypes.c_int()
    if library is None or library.cuInit(0) != 0 or library.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [_device(library, index) for index in range(count.value)]


def installed(distribution: str) -> str | None:
    """The version of a wheel, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def cupy() -> tuple[str, str] | None:
    """The wheel that CuPy came in and its version, or None."""
    return next(((name, found) for name in CUPY if (found := installed(name))), None)


def too_new(driver: Version) -> dict[str, str]:
    """The compiling wheels that are newer than the driver's CUDA, with their versions."""
    found = {name: number for name in COMPILERS if (number := installed(name))}
    return {name: number for name, number in found.items() if _major_minor(number) > driver}


def fitting(driver: Version) -> str:
    """The command that installs compiling wheels of the driver's version."""
    pins = " ".join(f'"{name}=={driver[0]}.{driver[1]}.*"' for name in COMPILERS)
    return f"python -m pip install {pins}"


def trouble() -> str | None:
    """Why no real GPU can be used here, as half a sentence that ends with what to do; None if nothing is in the way."""
    driver, found = cuda_of_driver(), cupy()
    if driver is None:
        return "no NVIDIA driver is loaded (libcuda is not found)"
    if found is None:
        return f"CuPy is not installed; for it: {INSTALL}"
    wanted = 12 if found[0] == "cupy-cuda12x" else 13
    if driver[0] < wanted:
        return (
            f"the NVIDIA driver knows CUDA {driver[0]}.{driver[1]} and {found[0]} needs a driver for CUDA {wanted}; "
            f"update the driver to version {'580' if wanted == 13 else '525'} or later"
        )
    if not devices():
        return "the NVIDIA driver is there and shows no GPU; CUDA_VISIBLE_DEVICES may hide it"
    return None


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        return None


def _device(library: ctypes.CDLL, index: int) -> Device:
    handle, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(256)
    library.cuDeviceGet(ctypes.byref(handle), index)
    library.cuDeviceGetName(name, len(name), handle)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    major, minor = (_attribute(library, which, handle) for which in (MAJOR, MINOR))
    return Device(name.value.decode(), (major, minor), memory.value)


def _attribute(library: ctypes.CDLL, which: int, handle: ctypes.c_int) -> int:
    value = ctypes.c_int()
    library.cuDeviceGetAttribute(ctypes.byref(value), which, handle)
    return value.value


def _major_minor(number: str) -> Version:
    major, minor = number.split(".")[:2]
    return int(major), int(minor)
