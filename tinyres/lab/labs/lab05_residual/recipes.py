"""Known mistakes with option A."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import reference
from tinyres.lab.task import Case, Recipe

SAME = "equals what you get if "
Array = Any


def picked(x: Array, stride: int, offset: int) -> Array:
    """Every stride-th pixel, `offset` later; at the border the last one there is."""
    rows, columns = (np.minimum(np.arange(0, n, stride) + offset, n - 1) for n in x.shape[1:3])
    return x[:, rows[:, None], columns]


def windows(x: Array, stride: int, pick: Callable[[Array], Array]) -> Array:
    """One value for each window of stride x stride pixels; windows at the border are smaller."""
    rows, columns = reference.sides(x.shape, stride)
    y = np.zeros((x.shape[0], rows, columns, x.shape[3]))
    for i, j, row, column in reference.pixels(x.shape, stride):
        y[:, i, j] = pick(x[:, row : row + stride, column : column + stride])
    return y


def average(window: Array) -> Array:
    """Of the pixels of a window."""
    return window.mean((1, 2))


def first(x: Array, stride: int) -> Array:
    """As many pixels as are wanted, from the corner."""
    rows, columns = reference.sides(x.shape, stride)
    return x[:, :rows, :columns]


def second(x: Array, stride: int) -> Array:
    """Every stride-th pixel, from the second on."""
    return picked(x, stride, 1 if stride > 1 else 0)


def averaged(x: Array, stride: int) -> Array:
    """The mean of each window."""
    return windows(x, stride, average)


def largest(x: Array, stride: int) -> Array:
    """The largest of each window."""
    return windows(x, stride, lambda part: part.max((1, 2)))


def _pixels(name: str, sentence: str, take: Callable[[Array, int], Array]) -> Recipe:
    """Other pixels, the right channels."""

    def before(case: Case) -> Case:
        return case.but({"x": take(case.arrays["x"], case.params["stride"])}, stride=1)

    return Recipe(name, SAME + sentence, before=before)


def _channels(name: str, sentence: str, place: Callable[[int, int], Array]) -> Recipe:
    """The right pixels, other channels: `place(C, channels)` says for each channel of y which of x it is, -1 for 0."""

    def after(results: Any, case: Case) -> Any:
        own = case.arrays["x"].shape[3]
        y = np.concatenate([results["y"][..., :own], np.zeros((*results["y"].shape[:3], 1))], axis=3)
        return {"y": y[..., place(own, case.params["channels"])]}

    return Recipe(name, SAME + sentence, after=after)


def in_front(own: int, channels: int) -> Array:
    """Zeros before the channels."""
    return np.r_[[-1] * (channels - own), range(own)].astype(int)


def both_sides(own: int, channels: int) -> Array:
    """Half of the zeros before them, half behind."""
    before = (channels - own) // 2
    return np.r_[[-1] * before, range(own), [-1] * (channels - own - before)].astype(int)


def repeated(own: int, channels: int) -> Array:
    """The channels once more."""
    return np.arange(channels) % own


def last_repeated(own: int, channels: int) -> Array:
    """The last channel, again and again."""
    return np.minimum(np.arange(channels), own - 1)


def _unwritten(results: Any, case: Case) -> Any:
    y = results["y"].copy()
    y[..., case.arrays["x"].shape[3] :] = np.nan
    return {"y": y}


PAD = (
    Recipe(
        "zeros-not-written",
        SAME + "the new channels are left as they were: `out` holds garbage, so write the zeros",
        after=_unwritten,
    ),
    _channels("zeros-in-front", "the zeros stand before the channels of x: they are appended", in_front),
    _channels(
        "zeros-on-both-sides",
        "half of the zeros stand before the channels of x, half behind: all are appended",
        both_sides,
    ),
    _channels("channels-repeated", "the new channels repeat those of x: they are zeros", repeated),
    _channels("last-channel-repeated", "the new channels are copies of the last one: they are zeros", last_repeated),
    _pixels("corner", "neighbouring pixels are taken, from the corner, not every stride-th", first),
    _pixels(
        "offset",
        "every stride-th pixel is taken, but from the second on: begin with the first",
        second,
    ),
    _pixels(
        "average",
        "the mean of stride x stride pixels is taken: option A takes the first of them as it is",
        averaged,
    ),
    _pixels(
        "maximum",
        "the largest of stride x stride pixels is taken: option A takes the first of them",
        largest,
    ),
    _pixels(
        "sum",
        "the sum of stride x stride pixels is taken: option A takes the first of them",
        lambda x, s: windows(x, s, lambda part: part.sum((1, 2))),
    ),
)


def spread(dy: Array, shape: tuple[int, ...], stride: int) -> Array:
    """The gradient of a pixel, to all stride x stride pixels of its window."""
    return dy.repeat(stride, axis=1).repeat(stride, axis=2)[:, : shape[1], : shape[2]]


def put(dy: Array, shape: tuple[int, ...], stride: int, offset: int) -> Array:
    """To every stride-th pixel, `offset` later; what would fall over the edge is lost."""
    wide = np.zeros((shape[0], shape[1] + stride, shape[2] + stride, dy.shape[3]))
    wide[:, offset : offset + stride * dy.shape[1] : stride, offset : offset + stride * dy.shape[2] : stride] = dy
    return wide[:, : shape[1], : shape[2]]


def corner(dy: Array, shape: tuple[int, ...]) -> Array:
    """To the pixels next to the corner."""
    dx = np.zeros((*shape[:3], dy.shape[3]))
    dx[:, : dy.shape[1], : dy.shape[2]] = dy
    return dx


def _put_back(name: str, sentence: str, formula: Callable[[Array, tuple[int, ...], int], Array]) -> Recipe:
    """Other places."""

    def instead(case: Case) -> Any:
        shape = tuple(case.params["shape"])
        return {"dx": formula(case.arrays["dy"][..., : shape[3]], shape, case.params["stride"])}

    return Recipe(name, SAME + sentence, instead=instead)


def _taken_from(name: str, sentence: str, take: Callable[[Array, int], Array]) -> Recipe:
    """Other channels of dy: `take(dy, C)`."""
    return Recipe(
        name,
        SAME + sentence,
        before=lambda case: case.but({"dy": take(case.arrays["dy"], case.params["shape"][3])}),
    )


def _folded(dy: Array, own: int) -> Array:
    return np.stack([dy[..., c::own].sum(3) for c in range(own)], axis=3)


def _skipped(results: Any, case: Case) -> Any:
    stride, dx = case.params["stride"], np.full(results["dx"].shape, np.nan)
    dx[:, ::stride, ::stride] = results["dx"][:, ::stride, ::stride]
    return {"dx": dx}


PAD_GRADIENT = (
    Recipe(
        "zeros-not-written",
        SAME + "the pixels that were left out keep what was in `out`, which is garbage: write zeros",
        after=_skipped,
    ),
    _put_back(
        "spread", "every pixel of a window gets the gradient: only the one that was taken had any influence", spread
    ),
    _put_back(
        "spread-as-a-mean",
        "the gradient is shared out among the pixels of a window, as for a mean: only the one that was taken gets it",
        lambda dy, shape, s: spread(dy, shape, s) / s**2,
    ),
    _put_back(
        "offset",
        "the gradients are put one pixel too far right and down",
        lambda dy, shape, s: put(dy, shape, s, 1 if s > 1 else 0),
    ),
    _put_back(
        "corner",
        "the gradients are put side by side into the corner, not on every stride-th pixel",
        lambda dy, shape, s: corner(dy, shape),
    ),
    _put_back(
        "divided",
        "the gradient is divided by stride x stride: what was copied keeps its gradient whole",
        lambda dy, shape, s: put(dy, shape, s, 0) / s**2,
    ),
    _taken_from(
        "last-channels",
        "the last channels of dy are taken, as if the zeros stood in front: take the first",
        lambda dy, own: dy[..., dy.shape[3] - own :],
    ),
    _taken_from(
        "middle-channels",
        "the middle channels of dy are taken, as if zeros stood on both sides: take the first",
        lambda dy, own: dy[..., (dy.shape[3] - own) // 2 :][..., :own],
    ),
    _taken_from(
        "channels-folded",
        "the new channels are added to the old, as if they were copies: nothing comes back from zeros",
        _folded,
    ),
)
