"""How the tasks of lab 3 are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tinyres.lab.labs.lab02_convolution.cases import HIDDEN, PUBLIC, Geometry, positions
from tinyres.lab.labs.lab02_convolution.checks import CIRCULAR, DILATED, HIDDEN_CIRCULAR, HIDDEN_DILATED
from tinyres.lab.labs.lab03_convolution_gradients import (
    recipes_around,
    recipes_input,
    recipes_spread,
    recipes_terms,
    recipes_variants,
    recipes_weight,
    reference,
)
from tinyres.lab.task import Case, Checks, Speed

Rng = np.random.Generator
Cases = Callable[[Rng], Iterator[Case]]

BEYOND = Geometry(2, 3, 4, 5, 6, 2, 3, 3, (3, 2, 4, 4))  # padding beyond the window: some errors saw zeros only
WIDE = Geometry(4, 31, 28, 3, 18, 3, 2, 1, (1, 0, 0, 0))  # in two parts or more
SPEED = Geometry(4, 16, 16, 8, 12, 3, 3, 1, (1, 1, 1, 1))  # 2.7 million multiplications


def with_errors(rng: Rng, case: Case) -> Case:
    """A random dy too."""
    n, f = len(case.arrays["x"]), case.arrays["w"].shape[3]
    return case.but({"dy": rng.standard_normal((n, *positions(case), f))}).rounded()


def of_filters(case: Case) -> Case:
    """What the gradient of the filters is made of."""
    x, w, dy = (case.arrays[name] for name in ("x", "w", "dy"))
    return replace(case, arrays={"x": x, "dy": dy}).but(shape=w.shape, groups=1)


def of_images(case: Case) -> Case:
    """What the gradient of the images is made of."""
    x, w, dy = (case.arrays[name] for name in ("x", "w", "dy"))
    return replace(case, arrays={"dy": dy, "w": w}).but(shape=x.shape, groups=1)


def of_errors(case: Case) -> Case:
    """Errors and their stride."""
    dy, stride = case.arrays["dy"], case.params["stride"]
    n, i, j, f = dy.shape
    special = [case.dtype] * (case.dtype != "float32") + [case.layout] * (case.layout != "contiguous")
    name = "-".join([f"N{n}-{i}x{j}-F{f}-s{stride}", *special])
    return replace(case, name=name, arrays={"dy": dy}, params={"stride": stride})


def channels_first(case: Case) -> Case:
    """[N,C,H,W], [F,C,R,S] and [N,F,I,J]."""
    return case.channels_first(("x", "dy"), ("w",))


def drawn(geometries: Sequence[Geometry], change: Callable[[Case], Case] = lambda case: case) -> Cases:
    """A case of each geometry."""
    return lambda rng: (change(with_errors(rng, geometry.draw(rng))) for geometry in geometries)


def dilated(geometries: Sequence[tuple[Geometry, int]]) -> Cases:
    """A case of each geometry and dilation."""

    def cases(rng: Rng) -> Iterator[Case]:
        for geometry, dilation in geometries:
            case = geometry.draw(rng).but(dilation=dilation)
            yield replace(with_errors(rng, case), name=f"{case.name}-d{dilation}")

    return cases


def terms_of_filters(case: Case) -> float:
    """N * I * J, the length of every sum."""
    return float(math.prod(case.arrays["dy"].shape[:3]))


def terms_of_images(case: Case) -> float:
    """R * S * F."""
    r, s, _, f = case.arrays["w"].shape
    return float(r * s * f)


def terms_of_both(case: Case) -> float:
    """The longer of the two sums, in any order of axes: at most this."""
    return float(max(case.arrays["dy"].size, case.arrays["w"].size))


CHECKS = {
    "conv.weight": Checks(
        drawn(PUBLIC, of_filters),
        drawn(HIDDEN, of_filters),
        reference.filters,
        (*recipes_weight.WEIGHT, *recipes_terms.WEIGHT),
        terms_of_filters,
    ),
    "conv.spread": Checks(
        drawn((PUBLIC[3], PUBLIC[4], PUBLIC[5], PUBLIC[2]), of_errors),
        drawn((HIDDEN[0], HIDDEN[2], HIDDEN[3], HIDDEN[4]), of_errors),
        reference.spread,
        (*recipes_input.SPREAD, *recipes_spread.FURTHER),
    ),
    "conv.input": Checks(
        drawn((*PUBLIC[:-1], BEYOND, WIDE), of_images),
        drawn(HIDDEN, of_images),
        reference.images,
        (*recipes_input.INPUT, *recipes_around.INPUT, *recipes_terms.INPUT),
        terms_of_images,
        Speed(2, (5, 25, 100), lambda rng: of_images(with_errors(rng, SPEED.draw(rng)))),
    ),
    "grad.dilated": Checks(
        dilated(DILATED), dilated(HIDDEN_DILATED), reference.dilated, recipes_variants.DILATED, terms_of_both
    ),
    "grad.circular": Checks(
        drawn(CIRCULAR), drawn(HIDDEN_CIRCULAR), reference.circular, recipes_variants.CIRCULAR, terms_of_both
    ),
    "grad.channels_first": Checks(
        drawn(PUBLIC[1:-1], channels_first),
        drawn(HIDDEN, channels_first),
        reference.channels_first,
        recipes_variants.CHANNELS_FIRST,
        terms_of_both,
    ),
}
