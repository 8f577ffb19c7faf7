"""The update of stochastic gradient descent: read w, v, g once, write w and v once.

g' = g + weight_decay*w;  v' = momentum*v + g';  w' = w - lr*v', or w - lr*(g' + momentum*v') after Nesterov
"""

from __future__ import annotations

from typing import Any

from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any
ITEM = 1 << 14  # values that a thread takes at a time


@njit(nogil=True, cache=True)
def _update(start, stop, w, v, g, new_w, new_v, lr, momentum, weight_decay, nesterov):  # type: ignore[no-untyped-def]
    item = slice(start * ITEM, stop * ITEM)
    w, v, g, new_w, new_v = w[item], v[item], g[item], new_w[item], new_v[item]
    for k in range(len(w)):
        gradient = g[k] + weight_decay * w[k]
        velocity = momentum * v[k] + gradient
        step = gradient + momentum * velocity if nesterov else velocity
        new_w[k] = w[k] - lr * step
        new_v[k] = velocity


@kernel("sgd", "numba")
def sgd(
    w: Array,
    v: Array,
    g: Array,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    out: tuple[Array, Array],
) -> None:
    """`out` may be (w, v) themselves."""
    of_type = w.dtype.type
    flat = (array.reshape(-1) for array in (w, v, g, *out))
    share(
        _update, -(-w.size // ITEM), 6 * w.size, *flat, of_type(lr), of_type(momentum), of_type(weight_decay), nesterov
    )
