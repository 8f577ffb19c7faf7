"""Convolution as a matrix product: im2col in blocks that fit the cache.

    y = columns @ w             columns [N*I*J, R*S*C] of x (columns.py), w viewed as [R*S*C, F]

Every row of columns meets every filter, and the product is y in the very order in which it lies in memory. Cost:
2*N*I*J*R*S*C*F operations. The gradients (conv_gradients.py) are two more such products.
"""

from __future__ import annotations

from typing import Any

from tinyres.kernels.on_numpy.columns import im2col
from tinyres.kernels.on_numpy.parts import parts, product
from tinyres.kernels.registry import kernel

Array = Any
Padding = tuple[int, int, int, int]


@kernel("conv2d", "numpy")
def conv2d(x: Array, w: Array, *, stride: int, padding: Padding, groups: int, out: Array) -> None:
    """[N,H,W,C], [R,S,C/groups,F] -> [N,I,J,F], into `out`.

    A large batch is done in parts whose columns fit the cache, and each group of channels apart. Mostly there is one
    part only, and its three slices take everything.
    """
    for images, channels, filters in parts(x, w.shape, out.shape[1:3], groups):
        # BEGIN SOLUTION conv.forward
        # STEP the columns of x[images, ..., channels]
        # STEP the filters w[..., filters] as a matrix that has a row for each column of those
        # STEP their product into out[images, ..., filters], by `product` or in your own way
        matrix = w[..., filters].reshape(-1, w.shape[3] // groups)
        product(im2col(x[images, ..., channels], w.shape[:2], stride, padding), matrix, out[images, ..., filters])
        # END SOLUTION
