"""Option A's shortcut: every stride-th pixel, zeros for the new channels; one pass over the output."""

from __future__ import annotations

from typing import Any

from numba import njit

from tinyres.kernels.on_numba.threads import share
from tinyres.kernels.registry import kernel

Array = Any


@njit(nogil=True, cache=True)
def _subsample(start, stop, x, y, stride):  # type: ignore[no-untyped-def]
    _, high, wide, channels = y.shape
    own = x.shape[3]
    for n in range(start, stop):
        for i in range(high):
            for j in range(wide):
                for c in range(own):
                    y[n, i, j, c] = x[n, i * stride, j * stride, c]
                for c in range(own, channels):
                    y[n, i, j, c] = 0


@njit(nogil=True, cache=True)
def _spread(start, stop, dy, dx, stride):  # type: ignore[no-untyped-def]
    _, h, w, own = dx.shape
    for n in range(start, stop):
        for i in range(h):
            for j in range(w):
                if i % stride == 0 and j % stride == 0:
                    for c in range(own):
                        dx[n, i, j, c] = dy[n, i // stride, j // stride, c]
                else:
                    for c in range(own):
                        dx[n, i, j, c] = 0


@kernel("pad_shortcut", "numba")
def pad_shortcut(x: Array, *, channels: int, stride: int, out: Array) -> None:
    share(_subsample, len(x), out.size, x, out, stride)


@kernel("pad_shortcut_gradient", "numba")
def pad_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int, out: Array) -> None:
    share(_spread, len(out), out.size, dy, out, stride)
