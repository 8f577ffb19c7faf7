"""Differentiable operations: for each its formula, its shapes, and its derivative by other operations.

No array arithmetic stands here; the kernels do it. Importing this package gives Tensor its operators.
"""

from tinyres.ops import operators
from tinyres.ops.activation import add_relu, dropout, relu, sigmoid, softmax, tanh
from tinyres.ops.batch_norm import batch_norm, bn_add_relu, bn_relu
from tinyres.ops.conv import conv2d, conv2d_input, conv2d_weight
from tinyres.ops.device import to
from tinyres.ops.elementwise import add, div, exp, log, mul, neg, power, sqrt, sub
from tinyres.ops.linear import linear, matmul
from tinyres.ops.loss import softmax_cross_entropy
from tinyres.ops.pool import global_avg_pool, max_pool2d
from tinyres.ops.reduce import broadcast_to, mean, sum
from tinyres.ops.shape import concat, getitem, reshape, transpose
from tinyres.ops.shortcut import pad_shortcut

operators.install()

__all__ = [
    "add",
    "add_relu",
    "batch_norm",
    "bn_add_relu",
    "bn_relu",
    "broadcast_to",
    "concat",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "div",
    "dropout",
    "exp",
    "getitem",
    "global_avg_pool",
    "linear",
    "log",
    "matmul",
    "max_pool2d",
    "mean",
    "mul",
    "neg",
    "pad_shortcut",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "sqrt",
    "sub",
    "sum",
    "tanh",
    "to",
    "transpose",
]
