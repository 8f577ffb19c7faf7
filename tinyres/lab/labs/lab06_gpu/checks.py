"""The cases of lab 6: few values, since the simulator takes a thread of the processor for each of the GPU's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.random import Generator

from tinyres.lab.labs.lab06_gpu import recipes, recipes_conv, recipes_gradients, reference
from tinyres.lab.task import Case, Checks

# N, H, W, C, R, S, F, stride, (top, bottom, left, right), groups
GEOMETRIES = (
    (1, 3, 4, 1, 1, 1, 2, 1, (0, 0, 0, 0), 1),
    (1, 4, 5, 2, 3, 2, 3, 1, (1, 1, 1, 0), 1),
    (2, 5, 3, 3, 2, 2, 4, 1, (1, 0, 0, 1), 1),
    (2, 6, 5, 1, 3, 3, 2, 2, (1, 1, 2, 1), 1),
    (3, 7, 4, 2, 3, 1, 1, 2, (2, 0, 0, 0), 1),
    (1, 4, 3, 4, 2, 3, 6, 1, (0, 1, 1, 1), 2),
)
HIDDEN = (
    (2, 4, 6, 3, 2, 3, 2, 1, (0, 1, 2, 1), 1),
    (1, 8, 5, 2, 3, 3, 3, 3, (1, 2, 1, 1), 1),
    (3, 3, 4, 1, 1, 1, 5, 2, (0, 0, 0, 0), 1),
    (1, 5, 4, 6, 3, 2, 3, 2, (1, 1, 0, 1), 3),
)
# N, H, W, C, R, S, F, stride, padding, dilation
DILATED = (
    (1, 5, 4, 1, 2, 2, 2, 1, (0, 0, 0, 0), 2),
    (1, 6, 7, 2, 3, 2, 1, 1, (2, 1, 1, 0), 2),
    (2, 7, 6, 1, 2, 3, 3, 2, (1, 1, 2, 1), 2),
    (1, 7, 8, 3, 2, 2, 2, 1, (0, 3, 1, 2), 3),
    (2, 5, 4, 2, 3, 3, 2, 1, (1, 1, 2, 0), 1),
)
DILATED_HIDDEN = (
    (1, 8, 6, 2, 3, 2, 2, 2, (2, 2, 0, 1), 2),
    (2, 6, 7, 1, 2, 2, 3, 1, (1, 0, 3, 2), 3),
    (1, 5, 6, 3, 1, 3, 2, 1, (0, 0, 2, 1), 2),
    (1, 9, 7, 1, 3, 3, 2, 3, (1, 2, 1, 0), 3),
)
# H, W, R, S, padding
IMAGES = (
    (3, 4, 1, 1, (0, 0, 0, 0)),
    (5, 6, 3, 2, (0, 0, 0, 0)),
    (4, 7, 3, 3, (1, 1, 1, 1)),
    (7, 5, 2, 4, (1, 0, 2, 1)),
    (2, 9, 2, 2, (0, 1, 1, 0)),
)
IMAGES_HIDDEN = (
    (6, 8, 3, 3, (1, 1, 1, 1)),
    (7, 4, 4, 2, (2, 1, 0, 1)),
    (1, 10, 1, 3, (0, 0, 2, 0)),
    (5, 9, 5, 3, (3, 1, 1, 2)),
)
Arrays = dict[str, Any]
Geometries = tuple[tuple[Any, ...], ...]
SHAPES = ((3, 4), (5, 7), (48,), (3, 5, 7), (2, 3, 4, 5), (1,))
SHAPES_HIDDEN = ((17,), (2, 16), (3, 7, 5), (7, 11), (2, 5, 3, 4))
SIZES = ((5,), (8,), (3, 7), (7, 9), (13, 6, 2), (64,))
SIZES_HIDDEN = ((2, 9), (65,), (11, 12), (5, 5, 5), (1,))
DTYPES = ("float32", "float32", "float64")


def _shaped(
    shapes: tuple[tuple[int, ...], ...], make: Callable[[Generator, tuple[int, ...]], Arrays]
) -> Callable[[Generator], Iterator[Case]]:
    """Cases of some shapes."""

    def cases(rng: Generator) -> Iterator[Case]:
        for at, shape in enumerate(shapes):
            name = "x".join(map(str, shape))
            yield Case(f"{name} ({math.prod(shape)} values)", make(rng, shape), dtype=DTYPES[at % 3])

    return cases


def _relu(rng: Generator, shape: tuple[int, ...]) -> Arrays:
    x = rng.standard_normal(shape)
    x.reshape(-1)[-1] = abs(x.reshape(-1)[-1]) + 0.1  # the last value passes, and so does the first
    x.reshape(-1)[0] = abs(x.reshape(-1)[0]) + 0.1
    return {"x": x}


def _relu_gradient(rng: Generator, shape: tuple[int, ...]) -> Arrays:
    return {"dy": rng.standard_normal(shape), "y": np.maximum(_relu(rng, shape)["x"], 0)}


def _total(rng: Generator, shape: tuple[int, ...]) -> Arrays:
    return {"x": 0.5 + rng.standard_normal(shape)}


def _convolutions(geometries: Geometries, kind: str) -> Callable[[Generator], Iterator[Case]]:
    """Cases of a convolution or of one of its gradients."""

    def cases(rng: Generator) -> Iterator[Case]:
        for at, (n, h, wide, c, r, s, f, stride, padding, groups) in enumerate(geometries):
            params = {"stride": stride, "padding": padding, "groups": groups}
            x, w = rng.standard_normal((n, h, wide, c)), rng.standard_normal((r, s, c // groups, f))
            whole = Case("", {"x": x, "w": w}, params)
            dy = rng.standard_normal((n, *reference.size(whole), f))
            name = f"N{n}-{h}x{wide}-C{c}-F{f}-k{r}x{s}-s{stride}-p{''.join(map(str, padding))}" + f"-g{groups}" * (
                groups > 1
            )
            arrays, extra = {
                "forward": ({"x": x, "w": w}, {}),
                "input": ({"dy": dy, "w": w}, {"shape": x.shape}),
                "weight": ({"x": x, "dy": dy}, {"shape": w.shape}),
            }[kind]
            yield Case(name, arrays, params | extra, DTYPES[at % 3], "strided" if at == 2 else "contiguous")

    return cases


def _dilated(geometries: Geometries) -> Callable[[Generator], Iterator[Case]]:
    def cases(rng: Generator) -> Iterator[Case]:
        for at, (n, h, wide, c, r, s, f, stride, padding, dilation) in enumerate(geometries):
            name = f"N{n}-{h}x{wide}-C{c}-F{f}-k{r}x{s}-s{stride}-p{''.join(map(str, padding))}-d{dilation}"
            arrays = {"x": rng.standard_normal((n, h, wide, c)), "w": rng.standard_normal((r, s, c, f))}
            yield Case(name, arrays, {"stride": stride, "padding": padding, "dilation": dilation}, DTYPES[at % 3])

    return cases


def _images(geometries: Geometries) -> Callable[[Generator], Iterator[Case]]:
    def cases(rng: Generator) -> Iterator[Case]:
        for at, (h, wide, r, s, padding) in enumerate(geometries):
            arrays = {"x": rng.standard_normal((h, wide)), "w": rng.standard_normal((r, s))}
            name = f"{h}x{wide}-k{r}x{s}-p{''.join(map(str, padding))}"
            yield Case(name, arrays, {"padding": padding}, DTYPES[at % 3])

    return cases


def _window(case: Case) -> float:
    return float(math.prod(case.arrays["w"].shape[:3]))


def _taps(case: Case) -> float:
    r, s, _, filters = case.arrays["w"].shape
    return float(r * s * filters)


def _pixels(case: Case) -> float:
    return float(math.prod(case.arrays["dy"].shape[:3]))


CHECKS = {
    "gpu.relu": Checks(_shaped(SHAPES, _relu), _shaped(SHAPES_HIDDEN, _relu), reference.relu, recipes.RELU),
    "gpu.relu_gradient": Checks(
        _shaped(SHAPES, _relu_gradient),
        _shaped(SHAPES_HIDDEN, _relu_gradient),
        reference.relu_gradient,
        recipes.RELU_GRADIENT,
    ),
    "gpu.forward": Checks(
        _convolutions(GEOMETRIES, "forward"),
        _convolutions(HIDDEN, "forward"),
        reference.forward,
        recipes_conv.FORWARD,
        _window,
    ),
    "gpu.input": Checks(
        _convolutions(GEOMETRIES, "input"),
        _convolutions(HIDDEN, "input"),
        reference.input_gradient,
        recipes_gradients.INPUT,
        _taps,
    ),
    "gpu.weight": Checks(
        _convolutions(GEOMETRIES, "weight"),
        _convolutions(HIDDEN, "weight"),
        reference.weight_gradient,
        recipes_gradients.WEIGHT,
        _pixels,
    ),
    "gpu.total": Checks(
        _shaped(SIZES, _total),
        _shaped(SIZES_HIDDEN, _total),
        reference.total,
        recipes.TOTAL,
        lambda case: float(case.arrays["x"].size),
    ),
    "gpu.tile": Checks(_images(IMAGES), _images(IMAGES_HIDDEN), reference.filtered, recipes_conv.TILED, _window),
    "gpu.dilated": Checks(
        _dilated(DILATED), _dilated(DILATED_HIDDEN), reference.forward, recipes_conv.DILATED, _window
    ),
}
