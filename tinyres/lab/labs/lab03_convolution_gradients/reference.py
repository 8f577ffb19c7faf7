"""What is right: by the oracle's loops over taps, in float64, never by im2col and never by turned filters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinyres.kernels.naive import conv as oracle
from tinyres.lab.labs.lab02_convolution.cases import NONE
from tinyres.lab.labs.lab02_convolution.reference import bordered
from tinyres.lab.task import Array, Case, Results


def of_filters(x: Array, dy: Array, shape: tuple[int, ...], stride: int) -> Array:
    """[N,H,W,C], [N,I,J,F] -> [R,S,C,F], without padding."""
    return oracle.conv2d_weight(x, dy, shape=shape, stride=stride, padding=NONE, groups=1)


def of_images(dy: Array, w: Array, shape: tuple[int, ...], stride: int) -> Array:
    """[N,I,J,F], [R,S,C,F] -> [N,H,W,C], without padding."""
    return oracle.conv2d_input(dy, w, shape=shape, stride=stride, padding=NONE, groups=1)


def padded_shape(case: Case) -> tuple[int, ...]:
    """[N, top + H + bottom, left + W + right, C] of the images of a case."""
    shape = case.arrays["x"].shape if "x" in case.arrays else case.params["shape"]
    top, bottom, left, right = case.params["padding"]
    return shape[0], top + shape[1] + bottom, left + shape[2] + right, shape[3]


def cut(padded: Array, case: Case) -> Array:
    """The part of a padded gradient that belongs to the images: the way back from padding."""
    return bordered(padded, [-side for side in case.params["padding"]])


def filters(case: Case) -> Results:
    """The gradient of the filters."""
    x, dy = bordered(case.arrays["x"], case.params["padding"]), case.arrays["dy"]
    return {"dw": of_filters(x, dy, case.params["shape"], case.params["stride"])}


def spread(case: Case) -> Results:
    """Error by error."""
    dy, stride = case.arrays["dy"], case.params["stride"]
    n, i, j, f = dy.shape
    zeros = np.zeros((n, (i - 1) * stride + 1, (j - 1) * stride + 1, f))
    for a in range(i):
        for b in range(j):
            zeros[:, a * stride, b * stride] = dy[:, a, b]
    return {"zeros": zeros}


def images(case: Case) -> Results:
    """The gradient of the images."""
    padded = of_images(case.arrays["dy"], case.arrays["w"], padded_shape(case), case.params["stride"])
    return {"dx": cut(padded, case)}


def _taps(case: Case) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice, slice]]]:
    """For each tap of dilated filters: itself, and the part of the padded images that it meets."""
    (r, s), step, (_, h, w, _) = case.arrays["w"].shape[:2], case.params["dilation"], padded_shape(case)
    high, wide = h - (r - 1) * step, w - (s - 1) * step
    for a in range(r):
        for b in range(s):
            met = slice(a * step, a * step + high), slice(b * step, b * step + wide)
            yield (slice(a, a + 1), slice(b, b + 1)), (slice(None), *met)


def dilated(case: Case) -> Results:
    """Tap by tap, each a 1x1 convolution of what it meets."""
    w, dy, stride = case.arrays["w"], case.arrays["dy"], case.params["stride"]
    x = bordered(case.arrays["x"], case.params["padding"])
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for tap, met in _taps(case):
        dw[tap] = of_filters(x[met], dy, w[tap].shape, stride)
        dx[met] += of_images(dy, w[tap], x[met].shape, stride)
    return {"dx": cut(dx, case), "dw": dw}


def circular(case: Case) -> Results:
    """The other side around the images; its gradient is carried back there row by row, column by column."""
    w, dy, stride = case.arrays["w"], case.arrays["dy"], case.params["stride"]
    x = bordered(case.arrays["x"], case.params["padding"], "wrap")
    return {"dx": folded(of_images(dy, w, x.shape, stride), case), "dw": of_filters(x, dy, w.shape, stride)}


def folded(larger: Array, case: Case) -> Array:
    """Every pixel of the larger images added to the one that it is."""
    dx, (top, _, left, _) = np.zeros(case.arrays["x"].shape), case.params["padding"]
    for a in range(larger.shape[1]):
        for b in range(larger.shape[2]):
            dx[:, (a - top) % dx.shape[1], (b - left) % dx.shape[2]] += larger[:, a, b]
    return dx


def both(case: Case) -> Results:
    """The ordinary two, of one case that has x, w and dy."""
    w = case.arrays["w"].shape
    return {**images(case.but(shape=case.arrays["x"].shape)), **filters(case.but(shape=w))}


def channels_last(case: Case) -> Case:
    """The same case with the axes in our order."""
    x, w, dy = (case.arrays[name] for name in ("x", "w", "dy"))
    return case.but({"x": np.moveaxis(x, 1, 3), "w": np.moveaxis(w, (0, 1), (3, 2)), "dy": np.moveaxis(dy, 1, 3)})


def channels_first(case: Case) -> Results:
    """Moved, both gradients, moved back."""
    results = both(channels_last(case))
    return {"dx": np.moveaxis(results["dx"], 3, 1), "dw": np.moveaxis(results["dw"], (3, 2), (0, 1))}
