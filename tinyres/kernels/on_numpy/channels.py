"""What the passes of batch norm share: parts of a batch that fit in the cache, and sums of channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres.kernels.on_numpy.blocks import blocks

Array = Any


def parts(x: Array) -> Iterator[slice]:
    """Slices of the first axis that cover x, each small enough for the cache."""
    return blocks(len(x), x.nbytes // max(1, len(x)))


def channel_sum(x: Array) -> Array:
    """Sum over all axes but the last, in float64 but for the first of them: [n, ..., C] -> [C]."""
    return x.sum(0).reshape(-1, x.shape[-1]).sum(0, dtype=np.float64)
