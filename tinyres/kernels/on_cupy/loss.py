"""Softmax cross-entropy and the log of a step (`cuda/loss.cuh`): one block where a sum needs one order.

Not yet run on a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.on_cupy import grid
from tinyres.kernels.registry import kernel

Array = Any
WARP, ALONE = 32, 1024  # threads of a row, and of a block that is the only one


def _alone(rows: int) -> int:
    """Threads of the one block: a warp a row, up to 32 of them."""
    return max(WARP, min(ALONE, rows * WARP))


@kernel("softmax_cross_entropy", "cupy", device="cuda")
def softmax_cross_entropy(logits: Array, labels: Array, *, out: Array) -> None:
    """Mean over n of log(sum_k exp(z[n,k])) - z[n, label[n]],  z = logits less their row's maximum."""
    labels, threads = labels.astype(np.int64, copy=False), _alone(len(logits))
    sizes = grid.ints(*logits.shape)
    cuda.launch("loss.cuh", f"loss<{grid.real(logits)}>", 1, threads, logits, labels, out, *sizes, shared=8 * WARP)


@kernel("softmax_cross_entropy_gradient", "cupy", device="cuda")
def softmax_cross_entropy_gradient(dloss: Array, logits: Array, labels: Array, *, out: Array) -> None:
    """Dloss * (softmax - one-hot) / N."""
    labels, rows = labels.astype(np.int64, copy=False), len(logits)
    blocks, sizes = -(-rows * WARP // grid.THREADS), grid.ints(*logits.shape)
    expression = f"loss_gradient<{grid.real(logits)}>"
    cuda.launch("loss.cuh", expression, blocks, grid.THREADS, dloss, logits, labels, out, *sizes)


@kernel("log_step", "cupy", device="cuda")
def log_step(
    loss: Array, logits: Array, labels: Array, at: Array, losses: Array, wrong: Array, *, out: tuple[Array, ...]
) -> None:
    """losses[at % L] = loss;  wrong[at % L] = rows whose largest logit is not the label's;  at += 1."""
    new_at, new_losses, new_wrong = out
    for old, new in ((losses, new_losses), (wrong, new_wrong)):
        if new is not old:
            new[...] = old
    sizes = *grid.ints(*logits.shape), np.int64(len(losses))
    cuda.launch(
        "loss.cuh", f"log_step<{grid.real(logits)}>", 1, _alone(len(logits)),
        loss, logits, labels, at, new_losses, new_wrong, new_at, *sizes, shared=4 * WARP,
    )  # fmt: skip
