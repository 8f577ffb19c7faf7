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
        image, result = x[n], y[n]
        for i in range(high):
            for j in range(wide):
                pixel, place = image[i * stride, j * stride], result[i, j]
                for c in range(own):
                    place[c] = pixel[c]
                place[own:channels] = 0


@njit(nogil=True, cache=True)
def _spread(start, stop, dy, dx, stride):  # type: ignore[no-untyped-def]
    _, h, w, own = dx.shape
    for n in range(start, stop):
        result = dx[n]
        result[:] = 0
        for i in range(0, h, stride):
            for j in range(0, w, stride):
                pixel, place = dy[n, i // stride, j // stride], result[i, j]
                for c in range(own):
                    place[c] = pixel[c]


@kernel("pad_shortcut", "numba")
def pad_shortcut(x: Array, *, channels: int, stride: int, out: Array) -> None:
    share(_subsample, len(x), out.size, x, out, stride)


@kernel("pad_shortcut_gradient", "numba")
def pad_shortcut_gradient(dy: Array, *, shape: tuple[int, ...], stride: int, out: Array) -> None:
    share(_spread, len(out), out.size, dy, out, stride)
