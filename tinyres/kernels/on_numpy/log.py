"""What a training step leaves to be read later: its loss and its errors, in a ring, so that nobody waits for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.kernels.registry import kernel

Array = Any


@kernel("log_step", "numpy")
def log_step(
    loss: Array,
    logits: Array,
    labels: Array,
    at: Array,
    losses: Array,
    wrong: Array,
    *,
    out: tuple[Array, Array, Array],
) -> None:
    """losses[at % L] = loss;  wrong[at % L] = rows whose largest logit is not the label's;  at += 1.

    The first of equal logits counts, and a NaN as larger than any number. `out` may be (at, losses, wrong) themselves.
    """
    new_at, new_losses, new_wrong = out
    place = at[0] % len(losses)
    new_losses[...], new_wrong[...] = losses, wrong
    new_losses[place] = loss
    new_wrong[place] = np.count_nonzero(logits.argmax(1) != labels)
    np.add(at, 1, out=new_at)
