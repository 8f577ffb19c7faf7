"""The fast CPU kernels: compiled by Numba, with explicit vectors where a compiler would not find them."""

from __future__ import annotations

import functools
import os
import re

from tinyres.errors import KernelError
from tinyres.kernels.on_numba import threads

DEVICE = "cpu"

_FILES = {
    "conv": "conv2d conv2d_input conv2d_weight",
    "batch_norm": "batch_norm batch_norm_gradient batch_norm_eval "
    "bn_relu bn_relu_gradient bn_add_relu bn_add_relu_gradient",
    "elementwise": "add add_relu relu relu_gradient",
    "shortcut": "pad_shortcut pad_shortcut_gradient",
    "pool": "max_pool2d max_pool2d_gradient max_pool2d_gather global_avg_pool global_avg_pool_gradient",
    "loss": "softmax_cross_entropy softmax_cross_entropy_gradient",
    "update": "sgd",
    "augment": "augment",
}
MODULES = {op: f"{__name__}.{file}" for file, names in _FILES.items() for op in names.split()}
VARIANTS = {"winograd": {op: f"{__name__}.winograd" for op in _FILES["conv"].split()}}


def missing() -> str | None:
    """Why this backend cannot run here; KernelError for settings of Numba that make no sense."""
    threads.thread_count()  # Numba refuses some nonsense in NUMBA_NUM_THREADS with a traceback, and warns of other
    features = os.environ.get("NUMBA_CPU_FEATURES", "")
    if not re.fullmatch(r"([+-][^+,-][^,]*(,[+-][^+,-][^,]*)*)?", features):  # LLVM would end the process
        raise KernelError(
            f"NUMBA_CPU_FEATURES is {features!r}; write +name or -name, with commas between, or unset it."
        )
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "NUMBA_DISABLE_JIT is set, and these kernels exist only compiled; unset it"
    return _cannot_import()


@functools.cache
def _cannot_import() -> str | None:
    try:
        from tinyres.kernels.on_numba import cache
    except ImportError as error:  # not installed, or too old for this NumPy
        return f'Numba cannot be imported ({error}); python -m pip install --upgrade "numba"'
    cache.prepare()
    return None
