"""Known mistakes of the shortcuts with stride: which pixels and which channels, there and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual.recipes import SAME, windows
from tinyres.lab.labs.lab05_residual.reference import sides
from tinyres.lab.task import Case, Recipe, Results

Array = Any
Start = Callable[[int], tuple[int, int, int, int]]  # stride -> first row, first column, step of rows, of columns


def taken(x: Array, stride: int, start: Start) -> Array:
    """As many pixels as are wanted, from a row and a column on; at the border the last one there is."""
    (row, column, down, across), (i, j) = start(stride), sides(x.shape, stride)
    rows = np.minimum(row + down * np.arange(i), x.shape[1] - 1)
    columns = np.minimum(column + across * np.arange(j), x.shape[2] - 1)
    return x[:, rows[:, None], columns]


def put(gradient: Array, shape: tuple[int, ...], stride: int, start: Start) -> Array:
    """The gradients of the pixels that were taken, at other places; what would fall over the edge is lost."""
    row, column, down, across = start(stride)
    wide = np.zeros((shape[0], shape[1] + 2 * stride, shape[2] + 2 * stride, gradient.shape[3]))
    for i in range(gradient.shape[1]):
        for j in range(gradient.shape[2]):
            wide[:, row + i * down, column + j * across] += gradient[:, i, j]
    return wide[:, : shape[1], : shape[2]]


# Name, what was done to the pixels, where they were looked for.
STARTS: tuple[tuple[str, str, Start], ...] = (
    ("offset-of-rows", "in rows from the second on, in columns from the first", lambda s: (int(s > 1), 0, s, s)),
    ("offset-of-columns", "in columns from the second on, in rows from the first", lambda s: (0, int(s > 1), s, s)),
    ("last-of-each-window", "from row and column stride - 1 on", lambda s: (s - 1, s - 1, s, s)),
    ("stride-of-rows-only", "at every stride-th row, but at neighbouring columns", lambda s: (0, 0, s, 1)),
    ("stride-of-columns-only", "at every stride-th column, but at neighbouring rows", lambda s: (0, 0, 1, s)),
)
SIDES_TURNED = "rows and columns are exchanged: each image is read as [W,H,C]"


def _taken(name: str, sentence: str, take: Callable[[Array, int], Array]) -> Recipe:
    """Other pixels, then stride 1."""
    return Recipe(
        name,
        SAME + sentence,
        before=lambda case: case.but({"x": take(case.arrays["x"], case.params["stride"])}, stride=1),
    )


def _images(name: str, sentence: str, change: Callable[[Array], Array]) -> Recipe:
    """Other images."""
    return Recipe(name, SAME + sentence, before=lambda case: case.but({"x": change(case.arrays["x"])}))


def kept(array: Array, *where: slice) -> Array:
    """Zero, but for a part of it."""
    part = np.zeros_like(array)
    part[where] = array[where]
    return part


ALL, FIRST, LAST, BUT_LAST = slice(None), slice(1), slice(-1, None), slice(-1)
FROM_START = tuple(
    _taken(
        name,
        f"pixels are taken {where}: it is every stride-th of both, from the first on",
        lambda x, s, start=start: taken(x, s, start),  # type: ignore[misc]
    )
    for name, where, start in STARTS
)
TAKEN = (
    *FROM_START,
    _taken(
        "counted-from-the-end",
        "the last pixels are taken, one next to the other",
        lambda x, s: x[:, x.shape[1] - sides(x.shape, s)[0] :, x.shape[2] - sides(x.shape, s)[1] :],
    ),
    _taken(
        "minimum",
        "the smallest of stride x stride pixels is taken: the first of them is wanted",
        lambda x, s: windows(x, s, lambda part: part.min((1, 2))),
    ),
    _taken(
        "average-of-a-full-window",
        "the sum of stride x stride pixels is divided by stride^2: the first of them is wanted, as it is",
        lambda x, s: windows(x, s, lambda part: part.sum((1, 2)) / s**2),
    ),
    _taken(
        "divided", "the pixels are divided by stride^2: they are taken as they are", lambda x, s: x[:, ::s, ::s] / s**2
    ),
    _images("rows-for-columns", SIDES_TURNED, lambda x: x.reshape(len(x), x.shape[2], x.shape[1], -1).swapaxes(1, 2)),
    _images("upside-down", "the images run backwards in rows and columns", lambda x: x[:, ::-1, ::-1]),
    _images("first-image-for-all", "every image is taken for the first", lambda x: 0 * x + x[:1]),
    _images("last-image-for-all", "every image is taken for the last", lambda x: 0 * x + x[-1:]),
    _images("first-image-only", "only the first image is taken, the others stay zero", lambda x: kept(x, FIRST)),
)


def _of_y(name: str, sentence: str, *where: slice) -> Recipe:
    return Recipe(name, SAME + sentence, after=lambda results, case: {"y": kept(results["y"], *where)})


WRITTEN = (
    _of_y("last-row-missing", "the last row of y stays zero: H/stride is rounded up", ALL, BUT_LAST),
    _of_y("last-column-missing", "the last column of y stays zero: W/stride is rounded up", ALL, ALL, BUT_LAST),
    _of_y(
        "last-row-and-column-missing",
        "the last row and column of y stay zero: H/stride and W/stride are rounded up",
        ALL,
        BUT_LAST,
        BUT_LAST,
    ),
)


def _placed(name: str, sentence: str, place: Callable[[Array, int], Array]) -> Recipe:
    """Other channels, from the right pixels [N,I,J,C] and the number of channels."""

    def after(results: Results, case: Case) -> Results:
        return {"y": place(results["y"][..., : case.arrays["x"].shape[3]], case.params["channels"])}

    return Recipe(name, SAME + sentence, after=after)


def _appended(x: Array, channels: int, new: Array) -> Array:
    shape = (*x.shape[:3], channels - x.shape[3])
    return np.concatenate([x, np.broadcast_to(new, shape)], axis=3)


def _interleaved(x: Array, channels: int) -> Array:
    """Zeros after each channel, as long as there is room."""
    y, own = np.zeros((*x.shape[:3], channels)), x.shape[3]
    y[..., :: channels // own][..., :own] = x
    return y


def _more_in_front(x: Array, channels: int) -> Array:
    new = channels - x.shape[3]
    return np.pad(x, ((0, 0), (0, 0), (0, 0), ((new + 1) // 2, new // 2)))


PAD = (
    *TAKEN,
    *WRITTEN,
    _placed("interleaved", "zeros stand between the channels of x: they are appended", _interleaved),
    _placed(
        "more-zeros-in-front",
        "half of the zeros, rounded up, stand before the channels of x: all are appended",
        _more_in_front,
    ),
    _placed("ones", "the new channels hold ones: they are zeros", lambda x, c: _appended(x, c, np.ones(1))),
    _placed(
        "first-channel-repeated",
        "the new channels are copies of the first one: they are zeros",
        lambda x, c: _appended(x, c, x[..., :1]),
    ),
    _placed(
        "mean-of-the-channels",
        "the new channels hold the mean of the others: they are zeros",
        lambda x, c: _appended(x, c, x.mean(3, keepdims=True)),
    ),
    _placed("backwards", "the channels of x run backwards", lambda x, c: _appended(x[..., ::-1], c, np.zeros(1))),
    _placed(
        "last-channel-missing",
        "the last channel of x is zero, too",
        lambda x, c: _appended(kept(x, ALL, ALL, ALL, BUT_LAST), c, np.zeros(1)),
    ),
    _placed(
        "relu",
        "a ReLU follows: the shortcut has none of its own",
        lambda x, c: np.maximum(_appended(x, c, np.zeros(1)), 0),
    ),
)


def _dx(name: str, sentence: str, change: Callable[[Array, tuple[int, ...], int], Array]) -> Recipe:
    """Another dx, from the gradients of the pixels that were taken, the shape and the stride."""

    def after(results: Results, case: Case) -> Results:
        dx, stride = results["dx"], case.params["stride"]
        return {**results, "dx": change(dx[:, ::stride, ::stride], dx.shape, stride)}

    return Recipe(name, SAME + sentence, after=after)


def _back(name: str, sentence: str, change: Callable[[Array], Array]) -> Recipe:
    """Of the right places, other gradients."""
    return _dx(name, sentence, lambda g, shape, s: put(change(g), shape, s, lambda stride: (0, 0, stride, stride)))


BACK = (
    *(
        _dx(
            name,
            f"gradients are put {where}: it is every stride-th of both, from the first on",
            lambda g, shape, s, start=start: put(g, shape, s, start),  # type: ignore[misc]
        )
        for name, where, start in STARTS
    ),
    _dx(
        "tiled",
        "the gradients are tiled over dx: each belongs to one pixel",
        lambda g, shape, s: np.tile(g, (1, s, s, 1))[:, : shape[1], : shape[2]],
    ),
    _dx(
        "times-stride-squared",
        "the gradient is multiplied by stride^2: what was copied once gets it once",
        lambda g, shape, s: s**2 * put(g, shape, s, lambda stride: (0, 0, stride, stride)),
    ),
    _back("upside-down", "the gradients run backwards in rows and columns", lambda g: g[:, ::-1, ::-1]),
    _back(
        "rows-for-columns",
        "i and j of dy are exchanged: each image is read as [J,I,F]",
        lambda g: g.reshape(len(g), g.shape[2], g.shape[1], -1).swapaxes(1, 2),
    ),
    _back("first-image-only", "only the first image gets its gradient", lambda g: kept(g, FIRST)),
    _back("first-image-for-all", "every image gets the gradient of the first", lambda g: 0 * g + g[:1]),
    _back("last-image-for-all", "every image gets the gradient of the last", lambda g: 0 * g + g[-1:]),
    _back("images-added-up", "every image gets the sum of all images' gradients", lambda g: 0 * g + g.sum(0)),
    _back("mean-over-images", "the gradient is divided by the number of images", lambda g: g / len(g)),
    _back("last-row-missing", "the last row of dy is left out", lambda g: kept(g, ALL, BUT_LAST)),
    _back("last-column-missing", "the last column of dy is left out", lambda g: kept(g, ALL, ALL, BUT_LAST)),
    _back(
        "last-row-and-column-missing",
        "the last row and the last column of dy are left out",
        lambda g: kept(g, ALL, BUT_LAST, BUT_LAST),
    ),
    _back("relu", "a ReLU follows: the shortcut has none", lambda g: np.maximum(g, 0)),
)


def _channels(name: str, sentence: str, take: Callable[[Array, int], Array]) -> Recipe:
    """Other channels of dy."""
    return Recipe(
        name,
        SAME + sentence,
        before=lambda case: case.but({"dy": take(case.arrays["dy"], case.params["shape"][3])}),
    )


PAD_BACK = (
    *BACK,
    _channels(
        "interleaved",
        "channels a step apart are taken, as if zeros stood between them: take the first C",
        lambda dy, own: dy[..., :: dy.shape[3] // own][..., :own],
    ),
    _channels(
        "middle-channels-rounded-up",
        "the middle channels of dy are taken, one further than in the middle: take the first",
        lambda dy, own: dy[..., (dy.shape[3] - own + 1) // 2 :][..., :own],
    ),
    _channels(
        "second-channel-first",
        "the channels from the second on are taken: begin with the first",
        lambda dy, own: dy[..., np.minimum(np.arange(own) + 1, dy.shape[3] - 1)],
    ),
    _channels("channels-backwards", "the channels run backwards", lambda dy, own: dy[..., :own][..., ::-1]),
    _channels(
        "all-channels-added",
        "every channel gets the sum of all of them: each gets its own",
        lambda dy, own: 0 * dy[..., :own] + dy.sum(3, keepdims=True),
    ),
    _channels(
        "last-channel-missing",
        "the last of the C channels gets nothing",
        lambda dy, own: kept(dy[..., :own], ALL, ALL, ALL, BUT_LAST),
    ),
    _channels(
        "rest-added-to-the-last",
        "the gradients of the new channels are added to the last old one: nothing comes back from zeros",
        lambda dy, own: np.concatenate([dy[..., : own - 1], dy[..., own - 1 :].sum(3, keepdims=True)], axis=3),
    ),
)
