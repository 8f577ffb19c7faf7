"""Mistakes with the convolutions of this lab, as a thread makes them that computes one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab06_gpu.recipes import FULL_BLOCKS, INTO_OUT, LAST
from tinyres.lab.labs.lab06_gpu.reference import as_image, geometry, seen, size
from tinyres.lab.task import Case, Recipe, Results

Array = Any
TILE = 3, 4  # pixels of a block of gpu.tile in the simulator


def recipe(name: str, sentence: str, **how: Any) -> Recipe:
    """A recipe whose sentence begins as they all do."""
    return Recipe(name, f"equals what you get if {sentence}", **how)


def turned(case: Case) -> Case:
    """With w turned by 180 degrees."""
    return case.but({"w": case.arrays["w"][::-1, ::-1]})


def _transposed(case: Case) -> Case:
    w = case.arrays["w"]
    return case.but({"w": np.swapaxes(w, 0, 1)}) if w.shape[0] == w.shape[1] else case  # else it reads outside


def without(array: str, *edges: int) -> Callable[[Case], Case]:
    """A case in which some rows and columns of an image are zero."""

    def before(case: Case) -> Case:
        image = np.array(case.arrays[array])
        rows = image if image.ndim == 2 else image.swapaxes(0, 1).swapaxes(1, 2)  # a view with rows, columns in front
        for edge in edges:
            rows[edge], rows[:, edge] = 0, 0
        return case.but({array: image})

    return before


def one(array: str, axis: int) -> Callable[[Case], Case]:
    """A case in which an array is zero but at the beginning of an axis."""

    def before(case: Case) -> Case:
        kept = np.zeros_like(case.arrays[array])
        place = (slice(None),) * axis + (slice(0, 1),)
        kept[place] = case.arrays[array][place]
        return case.but({array: kept})

    return before


TURNED = recipe(
    "turned",
    "w is turned by 180 degrees: that is convolution as in mathematics; here w[r,s] meets row i*stride + r - top",
    before=turned,
)
TRANSPOSED = recipe(
    "transposed_window",
    "rows and columns of the window are exchanged: w is [R,S,C,F], so it is w[r,s]",
    before=_transposed,
)
FIRST_EXCLUDED = recipe(
    "first_excluded", "row 0 and column 0 of x count as padding: inside is 0 <= h, not 0 < h", before=without("x", 0)
)
LAST_EXCLUDED = recipe(
    "last_excluded",
    "the last row and column of x count as padding: inside is h < H, not h < H - 1",
    before=without("x", -1),
)
ONE_CHANNEL = recipe(
    "one_channel", "channel 0 of each group alone is added up: the sum is over all c too", before=one("w", 2)
)


def _forward(**wrong: Any) -> Callable[[Case], Results]:
    """The convolution with some of its numbers wrong: functions of the case."""

    def instead(case: Case) -> Results:
        stride, top, left = geometry(case)
        numbers: dict[str, Any] = {
            "step": (stride, stride),
            "first": (top, left),
            "apart": (case.params.get("dilation", 1),) * 2,
        }
        numbers |= {name: change(case) for name, change in wrong.items()}
        return {"y": seen(case.arrays["x"], case.arrays["w"], size(case), **numbers)}

    return instead


def exchanged(case: Case) -> tuple[int, int]:
    """Left and top, in the places of top and left."""
    return case.params["padding"][2], case.params["padding"][0]


def strides(case: Case) -> tuple[int, int]:
    """The stride of rows and of columns."""
    return (case.params["stride"],) * 2


def _first_group(case: Case) -> Results:
    """Every filter sees the channels of the first group."""
    x, w = case.arrays["x"], case.arrays["w"]
    return _forward()(case.but({"x": np.concatenate([x[..., : w.shape[2]]] * (x.shape[3] // w.shape[2]), axis=3)}))


_SEEN = (
    TURNED,
    TRANSPOSED,
    FIRST_EXCLUDED,
    LAST_EXCLUDED,
    LAST,
    INTO_OUT,
    recipe(
        "no_shift",
        "the window begins at i*stride: padding moves it up and left, by top and left",
        instead=_forward(first=lambda case: (0, 0)),
    ),
    recipe(
        "padding_exchanged",
        "top and left are exchanged: top belongs to rows, left to columns",
        instead=_forward(first=exchanged),
    ),
    recipe(
        "last_tap",
        "the sum begins anew at every tap: it has to be set to zero once, before the loops",
        instead=_forward(last_tap=lambda case: True),
    ),
)
_STRIDED = (
    FULL_BLOCKS,
    ONE_CHANNEL,
    recipe(
        "stride_ignored",
        "the stride is ignored: window i begins at row i*stride - top",
        instead=_forward(step=lambda case: (1, 1)),
    ),
    recipe(
        "stride_of_rows",
        "the stride counts for rows only: columns have it too",
        instead=_forward(step=lambda case: (case.params["stride"], 1)),
    ),
)
FORWARD = (
    *_SEEN,
    *_STRIDED,
    recipe(
        "stride_of_taps",
        "the stride is multiplied to r and s too: it moves the window, not its taps",
        instead=_forward(apart=strides),
    ),
    recipe("first_group", "every filter sees the channels of the first group", instead=_first_group),
)
DILATED = (
    *_SEEN,
    *_STRIDED,
    recipe(
        "no_gaps",
        "the taps stand side by side: tap r is r*dilation rows below the first",
        instead=_forward(apart=lambda case: (1, 1)),
    ),
    recipe(
        "gaps_of_rows",
        "the dilation counts for rows only: columns have it too",
        instead=_forward(apart=lambda case: (case.params["dilation"], 1)),
    ),
    recipe(
        "dilated_windows",
        "the dilation moves the windows too: i is multiplied by the stride alone",
        instead=_forward(step=lambda case: (case.params["dilation"] * case.params["stride"],) * 2),
    ),
)


def _own_pixels(case: Case) -> Results:
    """Taps that leave the pixels of the own block add nothing."""
    x, w, (top, bottom, left, right) = case.arrays["x"], case.arrays["w"], case.params["padding"]
    padded, (high, wide) = np.pad(x, ((top, bottom), (left, right))), size(as_image(case))
    y = np.zeros((high, wide))
    for i in range(0, high, TILE[0]):
        for j in range(0, wide, TILE[1]):
            block = slice(i, i + TILE[0]), slice(j, j + TILE[1])
            own = np.zeros_like(padded)
            own[block] = padded[block]
            y[block] = seen(own[None, :, :, None], w[:, :, None, None], (high, wide), (1, 1), (0, 0))[0, :, :, 0][block]
    return {"y": y}


def _image(recipe: Recipe) -> Recipe:
    """A recipe of gpu.forward as one of gpu.tile."""
    make = recipe.instead
    if make is None:
        return recipe
    return Recipe(recipe.name, recipe.sentence, instead=lambda case: {"y": make(as_image(case))["y"][0, :, :, 0]})


TILED = (
    *map(_image, _SEEN),
    recipe(
        "no_border",
        "the tile has no border: what the windows reach beyond the block's own pixels counts as zero",
        instead=_own_pixels,
    ),
    recipe("one_row_of_window", "row 0 of the window alone is added up", before=one("w", 0)),
    recipe("one_column_of_window", "column 0 of the window alone is added up", before=one("w", 1)),
)
