"""Kernels for a GPU written in Python and compiled by Numba-CUDA: `naive`, to be read first, and the tiled ones.

What a student needs to know of CUDA is here and nowhere hidden: `elementwise.py` shows how threads share out values;
`naive.py` gives every value of a convolution a thread of its own; `conv.py` and `conv_weight.py` let the threads of a
block share what they read; `batch_norm.py` adds up in a tree. They are the readable rungs of the GPU's ladder, below
the ones in CUDA C++ (`kernels/cuda`).

They run on a real GPU through numba-cuda, on CuPy's arrays and streams, and without one in Numba's simulator, on the
arrays of the emulated GPU: TINYRES_GPU=emulated NUMBA_ENABLE_CUDASIM=1, both set before Python starts. The simulator
takes a thread of the processor for each of the GPU's, and is as slow as that sounds. Not yet run on a GPU.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from tinyres.kernels import cuda
from tinyres.kernels.cuda import driver

DEVICE = "cuda"

_FILES = {
    "elementwise": "relu relu_gradient",
    "conv": "conv2d conv2d_input",
    "conv_weight": "conv2d_weight",
    "batch_norm": "batch_norm bn_relu bn_add_relu batch_norm_gradient bn_relu_gradient bn_add_relu_gradient",
}
MODULES = {op: f"{__name__}.{file}" for file, names in _FILES.items() for op in names.split()}
VARIANTS = {"naive": dict.fromkeys(("conv2d", "conv2d_input", "conv2d_weight"), f"{__name__}.naive")}


def missing() -> str | None:
    """Why these kernels cannot run here."""
    if reason := cuda.missing():
        return reason
    if not cuda.emulated() and importlib.util.find_spec("numba_cuda") is None:
        return f"Numba-CUDA is not installed; {driver.INSTALL}"
    try:
        import numba
    except ImportError as error:
        return f"Numba cannot be imported ({error}); {driver.INSTALL}"
    settings: Any = numba.config
    if cuda.emulated() and not settings.ENABLE_CUDASIM:
        return "Numba's CUDA simulator is off; set NUMBA_ENABLE_CUDASIM=1 before Python starts"
    if settings.ENABLE_CUDASIM and not cuda.emulated():
        return "Numba's CUDA simulator is on, and takes no arrays of a real GPU; unset NUMBA_ENABLE_CUDASIM"
    return None
