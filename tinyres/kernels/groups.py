"""Ops that are chosen together, and ops that are several in one."""

from __future__ import annotations

GROUPS = {"conv": ("conv2d", "conv2d_input", "conv2d_weight")}
# A fused op's contract is the composition of these ops; choosing "composed" for it runs them instead. Behind each
# stand the gradients that the composition needs: a kernel chosen for one of those takes the fusion apart as well.
FUSED = {
    "bn_relu": ("batch_norm", "relu", "batch_norm_gradient", "relu_gradient"),
    "bn_add_relu": ("batch_norm", "add_relu", "batch_norm_gradient", "relu_gradient"),
    "conv2d_stats": ("conv2d", "batch_norm", "bn_relu", "bn_add_relu"),  # each of these would take the moments itself
    "bn_relu_eval": ("batch_norm_eval", "relu"),
    "bn_add_relu_eval": ("batch_norm_eval", "add_relu"),
}
COMPOSED = "composed"
