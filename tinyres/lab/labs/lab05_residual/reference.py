"""What the tasks of lab 5 shall yield: pixel by pixel, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import adapter
from tinyres.lab.task import Case, Results

Array = Any
EPS = 1e-5  # of batch norm, as in flow.py


def relu(case: Case) -> Results:
    """The larger of x and 0; NaN stays NaN."""
    x = case.arrays["x"]
    return {"y": np.where(x <= 0, 0.0, x)}


def relu_gradient(case: Case) -> Results:
    """Dy where y is positive."""
    return {"dx": np.where(case.arrays["y"] > 0, case.arrays["dy"], 0.0)}


def add_relu(case: Case) -> Results:
    """ReLU of the sum."""
    return relu(Case(case.name, {"x": case.arrays["a"] + case.arrays["b"]}))


def pixels(shape: tuple[int, ...], stride: int) -> Iterator[tuple[int, int, int, int]]:
    """(i, j, row, column): the output's pixels, and those of the input that they are."""
    for i, row in enumerate(range(0, shape[1], stride)):
        for j, column in enumerate(range(0, shape[2], stride)):
            yield i, j, row, column


def sides(shape: tuple[int, ...], stride: int) -> tuple[int, int]:
    """I and J: H and W divided by the stride, rounded up."""
    return len(range(0, shape[1], stride)), len(range(0, shape[2], stride))


def pad_shortcut(case: Case) -> Results:
    """Pixel by pixel."""
    x, channels, stride = case.arrays["x"], case.params["channels"], case.params["stride"]
    y = np.zeros((x.shape[0], *sides(x.shape, stride), channels))
    for i, j, row, column in pixels(x.shape, stride):
        y[:, i, j, : x.shape[3]] = x[:, row, column]
    return {"y": y}


def pad_shortcut_gradient(case: Case) -> Results:
    """Each pixel's gradient goes where the pixel came from."""
    dy, shape = case.arrays["dy"], tuple(case.params["shape"])
    dx = np.zeros(shape)
    for i, j, row, column in pixels(shape, case.params["stride"]):
        dx[:, row, column] = dy[:, i, j, : shape[3]]
    return {"dx": dx}


def project(case: Case) -> Results:
    """Pixel by pixel."""
    x, w, stride = case.arrays["x"], case.arrays["w"], case.params["stride"]
    y = np.zeros((x.shape[0], *sides(x.shape, stride), w.shape[1]))
    for i, j, row, column in pixels(x.shape, stride):
        y[:, i, j] = np.einsum("nc,cf->nf", x[:, row, column], w)
    return {"y": y}


def project_gradient(case: Case) -> Results:
    """Pixel by pixel."""
    (dy, x, w), stride = (case.arrays[name] for name in ("dy", "x", "w")), case.params["stride"]
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i, j, row, column in pixels(x.shape, stride):
        dx[:, row, column] = np.einsum("nf,cf->nc", dy[:, i, j], w)
        dw += np.einsum("nc,nf->cf", x[:, row, column], dy[:, i, j])
    return {"dx": dx, "dw": dw}


def block(case: Case) -> Results:
    """By the formulas."""
    x, w1, w2 = (case.arrays[name] for name in ("x", "w1", "w2"))
    before = np.einsum("nhwc,cm->nhwm", x, w1)
    hidden = np.where(before > 0, before, 0.0)
    total = np.einsum("nhwm,mc->nhwc", hidden, w2) + x
    return {"hidden": hidden, "y": np.where(total > 0, total, 0.0)}


def block_gradient(case: Case) -> Results:
    """Along the branch, along the shortcut, and added. Its steps can be exchanged, for mistakes on purpose."""
    dy, x, hidden, y, w1, w2 = (case.arrays[name] for name in ("dy", "x", "hidden", "y", "w1", "w2"))
    steps = {**STEPS, **case.params}
    dsum = steps["last"](dy, y)
    dbranch = steps["branch"](dsum, dy)
    dbefore = steps["inner"](np.einsum("nhwc,mc->nhwm", dbranch, w2), hidden)
    return {
        "dx": steps["along"](dsum, dy, x) + np.einsum("nhwm,cm->nhwc", dbefore, w1),
        "dw1": np.einsum("nhwc,nhwm->cm", x, dbefore),
        "dw2": np.einsum("nhwm,nhwc->mc", hidden, dbranch),
    }


def _masked(gradient: Array, y: Array) -> Array:
    """Back through a ReLU, by its result."""
    return np.where(y > 0, gradient, 0.0)


STEPS: dict[str, Any] = {
    "last": _masked,
    "branch": lambda dsum, dy: dsum,
    "along": lambda dsum, dy, x: dsum,
    "inner": _masked,
}


def standard(h: Array) -> tuple[Array, Array]:
    """BN(h) with gamma 1 and beta 0, and 1 / standard deviation."""
    inverse = 1 / np.sqrt(h.var(0) + EPS)
    return (h - h.mean(0)) * inverse, inverse


def layer(case: Case) -> Results:
    """relu(h) w, after batch norm or not."""
    z = standard(case.arrays["h"])[0] if case.params["normed"] else case.arrays["h"]
    return {"y": np.where(z > 0, z, 0.0) @ case.arrays["w"]}


def layer_gradient(case: Case) -> Results:
    """Its transpose. Its steps can be exchanged, for mistakes on purpose."""
    dy, h, w = (case.arrays[name] for name in ("dy", "h", "w"))
    normed, steps = case.params["normed"], {**LAYER_STEPS, **case.params}
    z = standard(h)[0] if normed else h
    dz = steps["relu"](steps["product"](dy, w), z, h)
    return {"dh": steps["norm"](dz, h) if normed else dz}


def _norm_gradient(dz: Array, h: Array) -> Array:
    z, inverse = standard(h)
    return inverse * (dz - dz.mean(0) - z * (dz * z).mean(0))


LAYER_STEPS: dict[str, Any] = {
    "product": lambda dy, w: dy @ w.T,
    "relu": lambda dz, z, h: _masked(dz, z),
    "norm": _norm_gradient,
}


def gradient_norms(case: Case) -> Results:
    """The chain rule, layer for layer."""
    weights, shortcut = case.arrays["weights"], case.params["shortcut"]
    streams = [case.arrays["x"]]
    for w in weights:
        streams.append(adapter.forward(streams[-1], w) + shortcut * streams[-1])
    gradients = [case.arrays["dy"]]
    for h, w in zip(streams[:-1][::-1], weights[::-1], strict=True):
        gradients.insert(0, adapter.backward(gradients[0], h, w) + shortcut * gradients[0])
    return {"norms": np.array([np.sqrt((g**2).sum()) for g in gradients])}


def channels_first(case: Case) -> Results:
    """Option A, between two moves of the channels."""
    last = case.but({"x": np.moveaxis(case.arrays["x"], 1, 3)})
    return {"y": np.moveaxis(pad_shortcut(last)["y"], 3, 1)}


def average_gradient(case: Case) -> Results:
    """Pixel by pixel."""
    dy, shape, stride = case.arrays["dy"], tuple(case.params["shape"]), case.params["stride"]
    dx = np.zeros(shape)
    for row in range(shape[1]):
        for column in range(shape[2]):
            dx[:, row, column] = dy[:, row // stride, column // stride, : shape[3]] / stride**2
    return {"dx": dx}


def scaled_gradient(case: Case) -> Results:
    """By the formulas."""
    dy, y, shortcut, scale = (case.arrays[name] for name in ("dy", "y", "shortcut", "scale"))
    dsum = np.where(y > 0, dy, 0.0)
    return {"dbranch": dsum, "dshortcut": scale * dsum, "dscale": np.array([(dsum * shortcut).sum()])}


def preactivation(case: Case) -> Results:
    """By the formulas."""
    dy, x, w1, w2 = (case.arrays[name] for name in ("dy", "x", "w1", "w2"))
    before = np.einsum("nhwc,cm->nhwm", np.where(x > 0, x, 0.0), w1)
    dbefore = np.where(before > 0, np.einsum("nhwc,mc->nhwm", dy, w2), 0.0)
    return {"dx": dy + np.where(x > 0, np.einsum("nhwm,cm->nhwc", dbefore, w1), 0.0)}
