"""What is right, in float64: each formula with a slot for every number that can be got wrong.

seen       y[n,i,j,f] = sum over r, s, c of  x[n, i*stride + r*dilation - top, j*stride + s*dilation - left, c] * w
gathered   dx[n,h,k,c] = sum over r, s, f of dy[n,i,j,f] * w,  i*stride = h - r + top,  j*stride = k - s + left
learned    dw[r,s,c,f] = sum over n, i, j of x[n, i*stride + r - top, j*stride + s - left, c] * dy[n,i,j,f]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.lab.task import Case, Results

Array = Any
Pair = tuple[int, int]  # of rows and columns


def geometry(case: Case) -> tuple[int, int, int]:
    """Stride, and how far the window begins above and left of the image."""
    return case.params.get("stride", 1), case.params["padding"][0], case.params["padding"][2]


def size(case: Case) -> Pair:
    """Rows and columns of y."""
    (h, w), (r, s) = case.arrays["x"].shape[-3:-1], case.arrays["w"].shape[:2]
    (top, bottom, left, right), stride = case.params["padding"], case.params["stride"]
    dilation = case.params.get("dilation", 1)
    high, wide = h + top + bottom - (r - 1) * dilation, w + left + right - (s - 1) * dilation
    return (high - 1) // stride + 1, (wide - 1) // stride + 1


def pixels(x: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """The pixels of x [N,H,W,C] at some rows and columns, zero outside, and which of them lie inside."""
    inside = ((rows >= 0) & (rows < x.shape[1]))[:, None] & ((columns >= 0) & (columns < x.shape[2]))
    found = x[:, np.clip(rows, 0, x.shape[1] - 1)][:, :, np.clip(columns, 0, x.shape[2] - 1)]
    return np.where(inside[..., None], found, 0.0), inside


def seen(
    x: Array, w: Array, shape: Pair, step: Pair, first: Pair, apart: Pair = (1, 1), last_tap: bool = False
) -> Array:
    """The convolution: window i begins at i * step - first, its taps stand `apart`; or what the last tap sees."""
    channels, filters = w.shape[2:]
    groups = x.shape[3] // channels
    y = np.zeros((len(x), *shape, filters))
    for r, s in np.ndindex(*w.shape[:2]):
        rows = np.arange(shape[0]) * step[0] + r * apart[0] - first[0]
        columns = np.arange(shape[1]) * step[1] + s * apart[1] - first[1]
        values, inside = pixels(x, rows, columns)
        parts = np.split(values, groups, axis=3)
        taps = np.split(w[r, s], groups, axis=1)
        new = np.concatenate([part @ tap for part, tap in zip(parts, taps, strict=True)], axis=3)
        y = np.where(inside[..., None], new, y) if last_tap else y + new
    return y


def gathered(
    dy: Array, w: Array, shape: tuple[int, ...], step: Pair, first: Pair, divides: Pair = (1, 1), turned: bool = False
) -> Array:
    """The gradient for the input; where `divides` is 0, no remainder is looked at; `turned`: i*stride = h + r - top."""
    groups = shape[3] // w.shape[2]
    dx = np.zeros(shape)
    for r, s in np.ndindex(*w.shape[:2]):
        back = (first[0] - r, first[1] - s) if not turned else (r - first[0], s - first[1])
        i, below = np.divmod(np.arange(shape[1]) + back[0], step[0])
        j, beside = np.divmod(np.arange(shape[2]) + back[1], step[1])
        i = np.where((below == 0) | (not divides[0]), i, -1)
        j = np.where((beside == 0) | (not divides[1]), j, -1)
        errors = np.split(pixels(dy, i, j)[0], groups, axis=3)
        taps = np.split(w[r, s], groups, axis=1)
        dx += np.concatenate([error @ tap.T for error, tap in zip(errors, taps, strict=True)], axis=3)
    return dx


def learned(x: Array, dy: Array, shape: tuple[int, ...], step: Pair, first: Pair, apart: Pair = (1, 1)) -> Array:
    """The gradient for the filters."""
    groups = x.shape[3] // shape[2]
    dw = np.zeros(shape)
    for r, s in np.ndindex(*shape[:2]):
        rows = np.arange(dy.shape[1]) * step[0] + r * apart[0] - first[0]
        columns = np.arange(dy.shape[2]) * step[1] + s * apart[1] - first[1]
        parts = np.split(pixels(x, rows, columns)[0], groups, axis=3)
        errors = np.split(dy, groups, axis=3)
        products = [np.einsum("nijc,nijf->cf", part, error) for part, error in zip(parts, errors, strict=True)]
        dw[r, s] = np.concatenate(products, axis=1)
    return dw


def forward(case: Case) -> Results:
    """gpu.forward, and gpu.dilated."""
    stride, top, left = geometry(case)
    apart = (case.params.get("dilation", 1),) * 2
    return {"y": seen(case.arrays["x"], case.arrays["w"], size(case), (stride, stride), (top, left), apart)}


def input_gradient(case: Case) -> Results:
    """gpu.input."""
    stride, top, left = geometry(case)
    dy, w = case.arrays["dy"], case.arrays["w"]
    return {"dx": gathered(dy, w, case.params["shape"], (stride, stride), (top, left))}


def weight_gradient(case: Case) -> Results:
    """gpu.weight."""
    stride, top, left = geometry(case)
    x, dy = case.arrays["x"], case.arrays["dy"]
    return {"dw": learned(x, dy, case.params["shape"], (stride, stride), (top, left))}


def relu(case: Case) -> Results:
    """gpu.relu."""
    return {"y": np.maximum(case.arrays["x"], 0)}


def relu_gradient(case: Case) -> Results:
    """gpu.relu_gradient."""
    return {"dx": np.where(case.arrays["y"] > 0, case.arrays["dy"], 0.0)}


def total(case: Case) -> Results:
    """gpu.total."""
    return {"total": np.array([case.arrays["x"].sum()])}


def as_image(case: Case) -> Case:
    """A case of gpu.tile as one of gpu.forward: one image, one channel, one filter."""
    x, w = case.arrays["x"], case.arrays["w"]
    return case.but({"x": x[None, :, :, None], "w": w[:, :, None, None]}, stride=1)


def filtered(case: Case) -> Results:
    """gpu.tile."""
    return {"y": forward(as_image(case))["y"][0, :, :, 0]}
