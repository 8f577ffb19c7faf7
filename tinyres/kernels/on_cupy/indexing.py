"""Indexing: views where slices give one, and its gradient without atomics. Not yet run on a GPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.kernels.launch import moved
from tinyres.kernels.on_cupy import DEVICE
from tinyres.kernels.registry import kernel

Array = Any


@kernel("getitem", "cupy", device="cuda", strided=True)
def getitem(x: Array, *, index: Any) -> Array:
    parts = index if isinstance(index, tuple) else (index,)
    return x[tuple(part if _single(part) else moved(part, DEVICE) for part in parts)]


def _single(part: Any) -> bool:
    """Whether this part of an index takes nothing twice."""
    return part is None or part is Ellipsis or isinstance(part, slice | int | np.integer)


@kernel("getitem_gradient", "cupy", device="cuda", strided=True)
def getitem_gradient(dy: Array, *, index: Any, shape: tuple[int, ...], out: Array) -> None:
    """Zeros of the input's shape, dy added where it was taken from; a place taken twice receives twice.

    An index of slices and whole numbers takes no place twice. Any other is made into a list of places first, sorted, so
    that those of one place are added in the order in which they were taken.
    """
    out.fill(0)
    parts = index if isinstance(index, tuple) else (index,)
    if all(map(_single, parts)):
        out[index] = dy
        return
    places = np.arange(math.prod(shape)).reshape(shape)[index].ravel()
    order = np.argsort(places, kind="stable")
    flat, taken = out.reshape(-1), dy.reshape(-1)
    turn = _turns(places[order])
    for number in range(int(turn.max(initial=-1)) + 1):  # each place at most once a turn
        now = order[turn == number]
        flat[moved(places[now], DEVICE)] += taken[moved(now, DEVICE)]


def _turns(places: np.ndarray) -> np.ndarray:
    """How many equal ones stand before each of these sorted numbers."""
    first = np.concatenate(([True], places[1:] != places[:-1])) if len(places) else np.zeros(0, bool)
    starts = np.maximum.accumulate(np.where(first, np.arange(len(places)), 0))
    return np.arange(len(places)) - starts
