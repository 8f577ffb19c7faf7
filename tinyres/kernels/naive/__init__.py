"""The oracle: every op as its formula says, by obvious loops and einsum, in float64, whatever type comes in.

Slow and independent of the fast kernels on purpose: no im2col, no chunks, no in-place work, nothing shared with them.
What a test, a benchmark or a lab calls right is what stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel

Array = Any
DEVICE = "cpu"

_FILES = {
    "elementwise": "add sub mul div neg power exp log sqrt relu relu_gradient tanh sigmoid softmax add_relu dropout",
    "shape": "matmul linear reshape transpose getitem getitem_gradient concat broadcast_to sum mean",
    "conv": "conv2d conv2d_input conv2d_weight conv2d_stats",
    "batch_norm": "batch_norm batch_norm_gradient batch_norm_eval running_averages "
    "bn_relu bn_relu_gradient bn_relu_eval bn_add_relu bn_add_relu_gradient bn_add_relu_eval",
    "pool": "pad_shortcut pad_shortcut_gradient max_pool2d max_pool2d_gradient max_pool2d_gather "
    "global_avg_pool global_avg_pool_gradient",
    "loss": "softmax_cross_entropy softmax_cross_entropy_gradient sgd augment next_batch log_step",
}
# The oracle has every op, so this map is also the list of ops.
MODULES = {op: f"{__name__}.{file}" for file, names in _FILES.items() for op in names.split()}


def missing() -> str | None:
    """Why this backend cannot run here: it always can."""
    return None


def oracle(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function under its own name (`sum_` as sum) as the kernel `naive`; it sees float64 arrays."""

    def in_float64(*arrays: Array, **params: Any) -> Any:
        return function(*(a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays), **params)

    return kernel(function.__name__.rstrip("_"), "naive", strided=True)(in_float64)
