"""Option A of the paper's shortcuts: every stride-th pixel, and zeros for the channels that are new."""

from __future__ import annotations

from typing import Any

from tinyres.kernels.registry import kernel

Array = Any


@kernel("pad_shortcut", "numpy", strided=True)
def pad_shortcut(x: Array, *, channels: int, stride: int, out: Array) -> None:
    """[N,H,W,C] -> [N,I,J,channels]; the zeros are appended after the C channels of x."""
    own = x.shape[3]
    out[..., :own] = x[:, ::stride, ::stride]
    out[..., own:] = 0


@kernel("pad_shortcut_gradient", "numpy", strided=True)
def pad_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int, out: Array) -> None:
    out[...] = 0
    out[:, ::stride, ::stride] = dy[..., : shape[3]]
