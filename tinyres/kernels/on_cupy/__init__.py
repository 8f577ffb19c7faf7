"""Kernels of the GPU: CUDA C++ (`kernels/cuda/*.cuh`) launched on CuPy's arrays, or on those of the emulated GPU.

    cupy              every op; convolution as im2col and a matrix product of cuBLAS, the readable rung
    cupy.igemm...     convolution as an implicit matrix product, in four precisions

All of it is bitwise repeatable: sums have one order, nothing is added by atomics. Not yet run on a GPU.
"""

from __future__ import annotations

from tinyres.kernels import cuda

DEVICE = "cuda"

_FILES = {
    "protocols": "sub mul div neg power exp log sqrt tanh sigmoid softmax "
    "reshape transpose concat broadcast_to max_pool2d_gather",
    "elementwise": "add relu add_relu relu_gradient dropout",
    "products": "matmul linear",
    "sums": "sum mean",
    "indexing": "getitem getitem_gradient",
    "conv": "conv2d conv2d_input conv2d_weight conv2d_stats",
    "batch_norm": "batch_norm batch_norm_gradient batch_norm_eval running_averages "
    "bn_relu bn_relu_gradient bn_relu_eval bn_add_relu bn_add_relu_gradient bn_add_relu_eval",
    "pool": "pad_shortcut pad_shortcut_gradient max_pool2d max_pool2d_gradient "
    "global_avg_pool global_avg_pool_gradient",
    "loss": "softmax_cross_entropy softmax_cross_entropy_gradient log_step",
    "update": "sgd",
    "augment": "augment next_batch",
}
MODULES = {op: f"{__name__}.{file}" for file, names in _FILES.items() for op in names.split()}
_PRODUCTS = ("igemm", "igemm_3xtf32", "igemm_tf32", "igemm_bf16")
VARIANTS = {name: dict.fromkeys(_FILES["conv"].split(), f"{__name__}.igemm") for name in _PRODUCTS}


def missing() -> str | None:
    """Why this backend cannot run here."""
    return cuda.missing()
