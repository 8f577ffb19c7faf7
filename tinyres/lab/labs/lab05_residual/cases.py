"""Cases of lab 5: every dimension another, random cotangents, strides with remainder, one image, strided, float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import reference
from tinyres.lab.task import Case

Rng = np.random.Generator
Shape = tuple[int, ...]
NEAR = 1e-3  # no value that decides whether a ReLU is on is nearer to 0: rounding must not decide
Images = tuple[tuple[Shape, int, int, dict[str, Any]], ...]  # [N,H,W,C], channels of y, stride, settings
IMAGES: Images = (
    ((1, 2, 3, 1), 2, 2, {}),
    ((2, 5, 4, 3), 6, 2, {}),
    ((2, 3, 5, 4), 7, 1, {}),
    ((3, 7, 8, 2), 5, 3, {"layout": "strided"}),
    ((1, 6, 4, 3), 4, 2, {"dtype": "float64"}),
    ((2, 4, 6, 5), 5, 2, {}),
)
HIDDEN: Images = (
    ((3, 9, 5, 2), 4, 2, {}),
    ((1, 5, 8, 3), 8, 4, {"dtype": "float64"}),
    ((2, 6, 7, 4), 9, 3, {"layout": "strided"}),
    ((4, 3, 2, 6), 7, 1, {}),
)


def named(shape: Shape, channels: int | None = None, stride: int | None = None) -> str:
    """N2-5x4-C3-F6-s2."""
    n, h, w, c = shape
    more = f"-F{channels}" if channels is not None else ""
    return f"N{n}-{h}x{w}-C{c}{more}" + (f"-s{stride}" if stride is not None else "")


def after(shape: Shape, channels: int, stride: int) -> Shape:
    """The shape of y."""
    return (shape[0], *reference.sides(shape, stride), channels)


PLAIN: tuple[tuple[Shape, dict[str, Any]], ...] = (
    ((2, 2, 3, 1), {}),
    ((2, 5, 4, 3), {}),
    ((3, 4, 2, 5), {"layout": "strided"}),
    ((1, 3, 6, 2), {"dtype": "float64"}),
)
PLAIN_HIDDEN: tuple[tuple[Shape, dict[str, Any]], ...] = (
    ((4, 3, 5, 2), {}),
    ((2, 1, 7, 3), {"layout": "strided"}),
    ((3, 2, 5, 4), {"dtype": "float64"}),
)


def plain(rng: Rng, what: str, hidden: bool = False) -> Iterator[Case]:
    """Elementwise tasks. A few values are exactly 0, where the derivative of ReLU is taken as 0."""
    for shape, settings in PLAIN_HIDDEN if hidden else PLAIN:
        first, second = rng.standard_normal(shape), rng.standard_normal(shape)
        if what == "forward":
            arrays = {"x": first}
        elif what == "gradient":
            arrays = {"dy": first, "y": np.maximum(second, 0)}
        else:
            arrays = {"a": first, "b": second}
        yield Case(named(shape), arrays, hidden=hidden, **settings)
    if what != "gradient" and not hidden:
        spoilt = {name: rng.standard_normal((2, 1, 3, 4)) for name in arrays}
        spoilt[min(spoilt)][1, 0, 2, :2] = np.nan
        yield Case("N2-1x3-C4-two-NaN", spoilt)


def padded(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `shortcut.pad`."""
    for shape, channels, stride, settings in HIDDEN if hidden else IMAGES:
        params = {"channels": channels, "stride": stride}
        name = named(shape, channels, stride)
        yield Case(name, {"x": rng.standard_normal(shape)}, params, hidden=hidden, **settings)


def padded_back(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `shortcut.pad_gradient`."""
    for shape, channels, stride, settings in HIDDEN if hidden else IMAGES:
        dy = rng.standard_normal(after(shape, channels, stride))
        params = {"shape": shape, "stride": stride}
        yield Case(named(shape, channels, stride), {"dy": dy}, params, hidden=hidden, **settings)


def projected(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `project.forward`."""
    for case in projected_back(rng, hidden):
        yield Case(
            case.name,
            {name: case.arrays[name] for name in ("x", "w")},
            case.params,
            case.dtype,
            case.layout,
            case.hidden,
        )


def projected_back(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `project.gradient`."""
    for shape, channels, stride, settings in HIDDEN if hidden else IMAGES:
        arrays = {
            "dy": rng.standard_normal(after(shape, channels, stride)),
            "x": rng.standard_normal(shape),
            "w": rng.standard_normal((shape[3], channels)) / np.sqrt(shape[3]),
        }
        yield Case(named(shape, channels, stride), arrays, {"stride": stride}, hidden=hidden, **settings)


BLOCKS: tuple[tuple[Shape, int, dict[str, Any]], ...] = (
    ((1, 1, 2, 2), 3, {}),
    ((2, 3, 4, 5), 6, {}),
    ((3, 4, 2, 3), 3, {}),  # square weights: whoever mixes up their axes gets no error
    ((2, 4, 3, 6), 5, {"layout": "strided"}),
    ((1, 5, 3, 4), 7, {"dtype": "float64"}),
)
BLOCKS_HIDDEN: tuple[tuple[Shape, int, dict[str, Any]], ...] = (
    ((4, 2, 5, 3), 8, {}),
    ((2, 5, 3, 4), 4, {"layout": "strided"}),
    ((1, 3, 4, 6), 5, {"dtype": "float64"}),
)


def blocks(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `block.forward`, and what the other blocks are made from."""
    for shape, width, settings in BLOCKS_HIDDEN if hidden else BLOCKS:
        c = shape[3]
        arrays = {
            "x": rng.standard_normal(shape),
            "w1": rng.standard_normal((c, width)) * np.sqrt(2 / c),
            "w2": rng.standard_normal((width, c)) * np.sqrt(2 / width),
        }
        yield Case(f"{named(shape)}-M{width}", arrays, hidden=hidden, **settings)


def blocks_back(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `block.gradient`."""
    for case in blocks(rng, hidden):
        made = reference.block(case.rounded())
        dy = rng.standard_normal(made["y"].shape)
        x, w1, w2 = (case.arrays[name] for name in ("x", "w1", "w2"))
        yield case.but({}).but({"dy": dy, "x": x, **made, "w1": w1, "w2": w2})


def preactivated(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `variant.preactivation`."""
    for case in blocks(rng, hidden):
        x, w1 = case.arrays["x"], case.arrays["w1"]
        while np.abs(np.maximum(x, 0) @ w1)[(x > 0).any(3)].min(initial=1.0) < NEAR:
            x = rng.standard_normal(x.shape)
        yield case.but({"x": x, "dy": rng.standard_normal(x.shape)})


LAYERS: tuple[tuple[int, int, dict[str, Any]], ...] = ((4, 2, {}), (8, 5, {}), (12, 7, {"dtype": "float64"}))
LAYERS_HIDDEN: tuple[tuple[int, int, dict[str, Any]], ...] = ((9, 4, {}), (16, 6, {"dtype": "float64"}))


def layers(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `flow.layer`."""
    for rows, width, settings in LAYERS_HIDDEN if hidden else LAYERS:
        for normed in (False, True):
            arrays = {
                "h": 0.3 + 1.7 * rng.standard_normal((rows, width)),
                "w": rng.standard_normal((width, width)) * np.sqrt(2 / width),
            }
            name = f"N{rows}-C{width}-{'batch-norm' if normed else 'no-batch-norm'}"
            yield Case(name, arrays, {"normed": normed}, hidden=hidden, **settings)


def layers_back(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `flow.layer_gradient`."""
    for case in layers(rng, hidden):
        while min(np.abs(case.arrays["h"]).min(), np.abs(reference.standard(case.arrays["h"])[0]).min()) < NEAR:
            case = case.but({"h": rng.standard_normal(case.arrays["h"].shape)})
        yield case.but({"dy": rng.standard_normal(case.arrays["h"].shape)})


STACKS = ((1, 3, 2, False), (1, 2, 3, True), (4, 5, 3, False), (4, 3, 5, True), (7, 6, 4, False), (7, 4, 6, True))
STACKS_HIDDEN = ((5, 3, 4, False), (6, 4, 3, True), (12, 2, 5, True), (9, 5, 2, False))


def stacks(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `flow.norms`: L layers of C units, N rows."""
    for depth, rows, width, shortcut in STACKS_HIDDEN if hidden else STACKS:
        arrays = {
            "x": rng.standard_normal((rows, width)),
            "weights": rng.standard_normal((depth, width, width)) * np.sqrt(1.5 / width),
            "dy": rng.standard_normal((rows, width)),
        }
        name = f"L{depth}-N{rows}-C{width}-{'residual' if shortcut else 'plain'}"
        yield Case(name, arrays, {"shortcut": shortcut}, dtype="float64", hidden=hidden)


def channels_first(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `variant.channels_first`."""
    for case in padded(rng, hidden):
        yield case.channels_first(("x",))


EVEN: Images = (
    ((1, 2, 4, 1), 2, 2, {}),
    ((2, 6, 4, 3), 5, 2, {}),
    ((3, 3, 6, 2), 4, 3, {}),
    ((2, 8, 6, 4), 7, 2, {"layout": "strided"}),
)
EVEN_HIDDEN: Images = (((2, 4, 10, 3), 6, 2, {}), ((1, 9, 6, 2), 5, 3, {"dtype": "float64"}), ((3, 4, 8, 5), 8, 4, {}))


def averaged_back(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `variant.average_gradient`: sides that the stride divides."""
    for shape, channels, stride, settings in EVEN_HIDDEN if hidden else EVEN:
        dy = rng.standard_normal(after(shape, channels, stride))
        params = {"shape": shape, "stride": stride}
        yield Case(named(shape, channels, stride), {"dy": dy}, params, hidden=hidden, **settings)


def scaled_back(rng: Rng, hidden: bool = False) -> Iterator[Case]:
    """For `variant.scaled_gradient`."""
    for shape, settings in PLAIN_HIDDEN if hidden else PLAIN:
        shortcut, scale = rng.standard_normal(shape), rng.uniform(1.5, 2.5, 1) * rng.choice([-1, 1])
        y = np.maximum(rng.standard_normal(shape) + scale * shortcut, 0)
        arrays = {"dy": rng.standard_normal(shape), "y": y, "shortcut": shortcut, "scale": scale}
        yield Case(named(shape), arrays, hidden=hidden, **settings)
