"""Mistakes with the gradients of the convolution in this lab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.labs.lab06_gpu.recipes import FULL_BLOCKS, INTO_OUT, LAST, values
from tinyres.lab.labs.lab06_gpu.recipes_conv import (
    FIRST_EXCLUDED,
    LAST_EXCLUDED,
    TRANSPOSED,
    exchanged,
    one,
    recipe,
    strides,
    turned,
    without,
)
from tinyres.lab.labs.lab06_gpu.reference import gathered, geometry, learned
from tinyres.lab.task import Case, Results


def _input(**wrong: Any) -> Callable[[Case], Results]:
    """The gradient for the input with some of its numbers wrong: functions of the case."""

    def instead(case: Case) -> Results:
        stride, top, left = geometry(case)
        numbers = {"step": (stride, stride), "first": (top, left)} | {
            name: change(case) for name, change in wrong.items()
        }
        return {"dx": gathered(case.arrays["dy"], case.arrays["w"], case.params["shape"], **numbers)}

    return instead


def _first_filters(case: Case) -> Results:
    """Every channel is told of the filters of the first group."""
    dy, w = case.arrays["dy"], case.arrays["w"]
    groups = case.params["shape"][3] // w.shape[2]
    each = dy.shape[3] // groups
    repeated = {
        "dy": np.concatenate([dy[..., :each]] * groups, axis=3),
        "w": np.concatenate([w[..., :each]] * groups, axis=3),
    }
    return _input()(case.but(repeated))


INPUT = (
    recipe(
        "turned",
        "w is turned by 180 degrees: the tap that made y[i] out of x[h] is the one that brings dy[i] back to it",
        before=turned,
    ),
    TRANSPOSED,
    LAST,
    FULL_BLOCKS,
    INTO_OUT,
    recipe(
        "first_excluded", "row 0 and column 0 of dy are left out: inside is 0 <= i, not 0 < i", before=without("dy", 0)
    ),
    recipe(
        "last_excluded",
        "the last row and column of dy are left out: inside is i < dy.shape[1]",
        before=without("dy", -1),
    ),
    recipe(
        "one_filter",
        "filter 0 alone brings its gradient: the sum is over all filters that see the channel",
        before=one("w", 3),
    ),
    recipe("no_shift", "top and left are forgotten: i*stride = h - r + top", instead=_input(first=lambda case: (0, 0))),
    recipe(
        "padding_exchanged",
        "top and left are exchanged: top belongs to rows, left to columns",
        instead=_input(first=exchanged),
    ),
    recipe(
        "stride_ignored",
        "the stride is ignored, as if it were i = h - r + top",
        instead=_input(step=lambda case: (1, 1)),
    ),
    recipe(
        "no_remainder",
        "it is not asked whether the stride divides h - r + top: where it does not, no window had this tap here",
        instead=_input(divides=lambda case: (0, 0)),
    ),
    recipe(
        "remainder_of_rows",
        "it is asked of rows only whether the stride divides: columns have it too",
        instead=_input(divides=lambda case: (1, 0)),
    ),
    recipe(
        "other_direction",
        "the taps are gone through as in the forward pass, h + r - top: here it is h - r + top",
        instead=_input(turned=lambda case: True),
    ),
    recipe("first_group", "every channel gets the gradients of the first group's filters", instead=_first_filters),
)


def _weight(**wrong: Any) -> Callable[[Case], Results]:
    """The gradient for the filters with some of its numbers wrong: functions of the case."""

    def instead(case: Case) -> Results:
        stride, top, left = geometry(case)
        numbers = {"step": (stride, stride), "first": (top, left)} | {
            name: change(case) for name, change in wrong.items()
        }
        return {"dw": learned(case.arrays["x"], case.arrays["dy"], case.params["shape"], **numbers)}

    return instead


def _first_channels(case: Case) -> Results:
    x, each = case.arrays["x"], case.params["shape"][2]
    return _weight()(case.but({"x": np.concatenate([x[..., :each]] * (x.shape[3] // each), axis=3)}))


def _over_images(results: Results, case: Case) -> Results:
    return {"dw": results["dw"] / len(case.arrays["dy"])}


def _over_pixels(results: Results, case: Case) -> Results:
    return {"dw": results["dw"] / np.prod(case.arrays["dy"].shape[:3])}


WEIGHT = (
    recipe(
        "turned",
        "dw is turned by 180 degrees: dw[r,s] belongs to the pixels at i*stride + r - top",
        after=values(lambda dw: dw[::-1, ::-1]),
    ),
    FIRST_EXCLUDED,
    LAST_EXCLUDED,
    LAST,
    FULL_BLOCKS,
    INTO_OUT,
    recipe("one_image", "image 0 alone counts: the sum is over all images of the batch", before=one("dy", 0)),
    recipe(
        "mean_of_images",
        "it is divided by the number of images: that division is the loss's business",
        after=_over_images,
    ),
    recipe("mean_of_pixels", "it is divided by the number of pixels of dy: it is a sum", after=_over_pixels),
    recipe("one_row", "row 0 of dy alone counts: the sum is over all its pixels", before=one("dy", 1)),
    recipe(
        "no_shift",
        "the window begins at i*stride: padding moves it up and left, by top and left",
        instead=_weight(first=lambda case: (0, 0)),
    ),
    recipe(
        "padding_exchanged",
        "top and left are exchanged: top belongs to rows, left to columns",
        instead=_weight(first=exchanged),
    ),
    recipe(
        "stride_ignored",
        "the stride is ignored: window i begins at row i*stride - top",
        instead=_weight(step=lambda case: (1, 1)),
    ),
    recipe(
        "stride_of_taps",
        "the stride is multiplied to r and s too: it moves the window, not its taps",
        instead=_weight(apart=strides),
    ),
    recipe("first_group", "every filter is told of the channels of the first group", instead=_first_channels),
)
