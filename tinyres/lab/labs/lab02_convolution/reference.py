"""What is right: by the oracle's loops over taps and by loops over positions, in float64, never by im2col."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyres.kernels.naive import conv as oracle
from tinyres.lab.labs.lab02_convolution.cases import NONE
from tinyres.lab.task import Array, Case, Results


def bordered(x: Array, padding: Sequence[int], mode: str = "constant", **how: float) -> Array:
    """Images with something around them; a negative number cuts off."""
    top, bottom, left, right = padding
    around = [(0, 0), (max(0, top), max(0, bottom)), (max(0, left), max(0, right)), (0, 0)]
    grown = np.pad(x, around, mode, **how)  # type: ignore[call-overload]
    rows = slice(max(0, -top), grown.shape[1] - max(0, -bottom))
    return grown[:, rows, max(0, -left) : grown.shape[2] - max(0, -right)]


def pad(case: Case) -> Results:
    """Zeros around."""
    return {"padded": bordered(case.arrays["x"], case.params["padding"])}


def im2col(case: Case) -> Results:
    """Window after window."""
    x, (r, s), stride = bordered(case.arrays["x"], case.params["padding"]), case.params["window"], case.params["stride"]
    rows = [
        image[i : i + r, j : j + s].reshape(-1)
        for image in x
        for i in range(0, x.shape[1] - r + 1, stride)
        for j in range(0, x.shape[2] - s + 1, stride)
    ]
    return {"columns": np.array(rows)}


def convolved(x: Array, w: Array, stride: int) -> Array:
    """[N,H,W,C], [R,S,C,F] -> [N,I,J,F], without padding."""
    return oracle.conv2d(x, w, stride=stride, padding=NONE, groups=1)


def forward(case: Case) -> Results:
    """The convolution."""
    x = bordered(case.arrays["x"], case.params["padding"])
    return {"y": convolved(x, case.arrays["w"], case.params["stride"])}


def dilated(case: Case) -> Results:
    """Tap by tap, each a 1x1 convolution of what it meets."""
    x, w = bordered(case.arrays["x"], case.params["padding"]), case.arrays["w"]
    step, stride, (r, s) = case.params["dilation"], case.params["stride"], w.shape[:2]
    high, wide = x.shape[1] - (r - 1) * step, x.shape[2] - (s - 1) * step
    taps = [(a, b) for a in range(r) for b in range(s)]
    met = [x[:, a * step : a * step + high, b * step : b * step + wide] for a, b in taps]
    return {"y": sum(convolved(seen, w[a : a + 1, b : b + 1], stride) for seen, (a, b) in zip(met, taps, strict=True))}


def circular(case: Case) -> Results:
    """The other side of the image around it."""
    x = bordered(case.arrays["x"], case.params["padding"], "wrap")
    return {"y": convolved(x, case.arrays["w"], case.params["stride"])}


def channels_last(case: Case) -> Case:
    """The same case with the axes in our order."""
    x, w = case.arrays["x"], case.arrays["w"]
    return case.but({"x": np.moveaxis(x, 1, 3), "w": np.moveaxis(w, (0, 1), (3, 2))})


def channels_first(case: Case) -> Results:
    """Moved, convolved, moved back."""
    return {"y": np.moveaxis(forward(channels_last(case))["y"], 3, 1)}
