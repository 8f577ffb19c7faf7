"""Contracts of the convolution, its two gradients, and its fusion with the statistics of a batch norm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tinyres.kernels.contracts.table import Array, Case, Generator, contract, outputs
from tinyres.kernels.shapes import RULES

# name: N, H, W, C, R, S, F, stride, (top, bottom, left, right), groups
CONVOLUTIONS = {
    "3x3": (2, 7, 5, 3, 3, 3, 4, 1, (1, 1, 1, 1), 1),
    "stride 2 with remainder": (2, 8, 7, 3, 3, 3, 5, 2, (1, 1, 1, 1), 1),
    "3x2, sides differ": (2, 6, 9, 3, 3, 2, 4, 2, (0, 1, 2, 0), 1),
    "1x1": (3, 5, 4, 6, 1, 1, 2, 1, (0, 0, 0, 0), 1),
    "1x1 stride 2": (2, 5, 7, 3, 1, 1, 4, 2, (0, 0, 0, 0), 1),
    "groups": (2, 5, 6, 4, 3, 3, 6, 1, (1, 1, 1, 1), 2),
    "depthwise": (1, 6, 5, 3, 3, 3, 3, 1, (1, 1, 1, 1), 3),
    "batch 1, window as large as the image": (1, 4, 3, 2, 4, 3, 5, 1, (0, 0, 0, 0), 1),
    "padding beyond the window": (2, 3, 4, 2, 2, 2, 3, 3, (3, 2, 4, 1), 1),
    "16 channels": (1, 9, 7, 16, 3, 3, 16, 1, (1, 1, 1, 1), 1),
    "stage 1": (2, 3, 21, 16, 3, 3, 16, 1, (1, 1, 1, 1), 1),
    "stage 2": (1, 4, 9, 32, 3, 3, 32, 1, (1, 1, 1, 1), 1),
    "stage 3": (1, 3, 9, 64, 3, 3, 64, 1, (1, 1, 1, 1), 1),
    "fewer filters than channels": (1, 5, 6, 48, 3, 3, 32, 1, (1, 1, 1, 1), 1),
    "stem": (2, 8, 8, 3, 3, 3, 16, 1, (1, 1, 1, 1), 1),
    "widening": (1, 8, 8, 16, 3, 3, 32, 2, (1, 1, 1, 1), 1),
}


def _convolutions(rng: Generator) -> Iterator[tuple[str, Array, Array, Array, dict[str, Any]]]:
    """Name, x, w, dy and geometry of each class."""
    for name, (n, h, w, c, r, s, f, stride, padding, groups) in CONVOLUTIONS.items():
        geometry = {"stride": stride, "padding": padding, "groups": groups}
        x, filters = rng.standard_normal((n, h, w, c)), rng.standard_normal((r, s, c // groups, f))
        dy = rng.standard_normal(RULES["conv2d"](x, filters, **geometry)[0][0])
        yield name, x, filters, dy, geometry


@contract("conv2d", operations=lambda case: 2 * outputs(case, "conv2d") * math.prod(case.arrays[1].shape[:3]))
def _conv2d(rng: Generator, op: str) -> Iterator[Case]:
    for name, x, w, _, geometry in _convolutions(rng):
        yield Case(name, (x, w), geometry, math.prod(w.shape[:3]))


@contract(
    "conv2d_stats", operations=lambda case: outputs(case, "conv2d") * (2 * math.prod(case.arrays[1].shape[:3]) + 5)
)
def _conv2d_stats(rng: Generator, op: str) -> Iterator[Case]:
    for name, x, w, dy, geometry in _convolutions(rng):
        count = math.prod(dy.shape[:3])
        if count > 1:  # one value has no variance
            yield Case(name, (x, w), geometry, math.prod(w.shape[:3]) + count)


@contract("conv2d_input", operations=lambda case: 2 * case.arrays[0].size * math.prod(case.arrays[1].shape[:3]))
def _conv2d_input(rng: Generator, op: str) -> Iterator[Case]:
    for name, x, w, dy, geometry in _convolutions(rng):
        terms = w.shape[0] * w.shape[1] * w.shape[3] // geometry["groups"]
        yield Case(name, (dy, w), geometry | {"shape": x.shape}, terms)


@contract("conv2d_weight", operations=lambda case: 2 * case.arrays[1].size * math.prod(case.params["shape"][:3]))
def _conv2d_weight(rng: Generator, op: str) -> Iterator[Case]:
    for name, x, w, dy, geometry in _convolutions(rng):
        yield Case(name, (x, dy), geometry | {"shape": w.shape}, math.prod(dy.shape[:3]))
