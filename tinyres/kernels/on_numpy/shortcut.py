"""Option A of the paper's shortcuts: every stride-th pixel, and zeros for the channels that are new.

y[n, i, j, c] = x[n, i*stride, j*stride, c]  for c < C,   0 for the channels beyond
"""

from __future__ import annotations

from typing import Any

from tinyres.kernels.registry import kernel

Array = Any


@kernel("pad_shortcut", "numpy", strided=True)
def pad_shortcut(x: Array, *, channels: int, stride: int, out: Array) -> None:
    """[N,H,W,C] -> [N,I,J,channels]; the zeros are appended after the C channels of x."""
    # BEGIN SOLUTION shortcut.pad
    # STEP the first C channels of out are every stride-th pixel of x
    # STEP out is not empty when you get it: write the zeros too
    own = x.shape[3]
    out[..., :own] = x[:, ::stride, ::stride]
    out[..., own:] = 0
    # END SOLUTION


@kernel("pad_shortcut_gradient", "numpy", strided=True)
def pad_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int, out: Array) -> None:
    """[N,I,J,channels] -> [N,H,W,C], which is `shape`: the gradient of x from that of y."""
    # BEGIN SOLUTION shortcut.pad_gradient
    # STEP a pixel that was left out has no influence, so its gradient is 0
    # STEP the others get what their copy got; nothing comes back from the zeros
    out[...] = 0
    out[:, ::stride, ::stride] = dy[..., : shape[3]]
    # END SOLUTION
