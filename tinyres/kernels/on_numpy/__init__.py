"""The readable CPU kernels: NumPy alone, blocked so that what one pass touches fits in the cache."""

from __future__ import annotations

DEVICE = "cpu"

_FILES = {
    "elementwise": "add sub mul div neg power exp log sqrt matmul linear",
    "shape": "reshape transpose getitem getitem_gradient concat broadcast_to sum mean",
    "activation": "tanh sigmoid softmax dropout",
    "relu": "relu relu_gradient add_relu",
    "conv": "conv2d",
    "conv_gradients": "conv2d_input conv2d_weight",
    "batch_norm": "batch_norm batch_norm_eval running_averages",
    "batch_norm_gradient": "batch_norm_gradient",
    "batch_norm_relu": "bn_relu bn_relu_gradient bn_add_relu bn_add_relu_gradient",
    "shortcut": "pad_shortcut pad_shortcut_gradient",
    "pool": "max_pool2d max_pool2d_gradient max_pool2d_gather global_avg_pool global_avg_pool_gradient",
    "loss": "softmax_cross_entropy softmax_cross_entropy_gradient",
    "update": "sgd",
    "augment": "augment next_batch",
    "log": "log_step",
}
MODULES = {op: f"{__name__}.{file}" for file, names in _FILES.items() for op in names.split()}


def missing() -> str | None:
    """Why this backend cannot run here: NumPy always can."""
    return None
