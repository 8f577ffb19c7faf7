"""The fast CPU kernels: compiled by Numba, with explicit vectors where a compiler would not find them."""

from __future__ import annotations

import importlib.util

DEVICE = "cpu"

_FILES = {
    "conv": "conv2d conv2d_input conv2d_weight",
    "batch_norm": "batch_norm batch_norm_gradient batch_norm_eval "
    "bn_relu bn_relu_gradient bn_add_relu bn_add_relu_gradient",
    "elementwise": "add add_relu relu relu_gradient",
    "shortcut": "pad_shortcut pad_shortcut_gradient",
    "pool": "global_avg_pool global_avg_pool_gradient",
    "update": "sgd",
    "augment": "augment",
}
MODULES = {op: f"{__name__}.{file}" for file, names in _FILES.items() for op in names.split()}


def missing() -> str | None:
    """Why this backend cannot run here."""
    return None if importlib.util.find_spec("numba") else 'Numba is not installed; python -m pip install "numba"'
