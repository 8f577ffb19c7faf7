"""How the tasks of lab 2 are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tinyres.lab.labs.lab02_convolution import recipes, recipes_variants, reference
from tinyres.lab.labs.lab02_convolution.cases import HIDDEN, NONE, PUBLIC, Geometry
from tinyres.lab.task import Case, Checks, Speed

Rng = np.random.Generator
Cases = Callable[[Rng], Iterator[Case]]

# The last number of each: what is cut off, as lab 3 will need it.
PADDINGS = (
    Geometry(2, 3, 4, 5, 1, 1, 1, padding=(1, 1, 1, 1)),
    Geometry(3, 4, 5, 2, 1, 1, 1, padding=(0, 2, 3, 1)),
    Geometry(1, 5, 3, 4, 1, 1, 1, padding=(1, 0, 0, 2), dtype="float64"),
    Geometry(2, 7, 6, 3, 1, 1, 1, padding=(-1, 0, -2, 0)),
    Geometry(2, 6, 7, 3, 1, 1, 1, padding=(-2, 1, 2, -3), layout="strided"),
)
HIDDEN_PADDINGS = (
    Geometry(3, 5, 4, 2, 1, 1, 1, padding=NONE),
    Geometry(1, 3, 2, 5, 1, 1, 1, padding=(4, 3, 1, 6)),
    Geometry(2, 6, 8, 3, 1, 1, 1, padding=(0, -3, 1, -1), dtype="float64"),
    Geometry(4, 8, 5, 2, 1, 1, 1, padding=(-1, -2, -3, 2), layout="strided"),
)
CUT = Geometry(2, 7, 5, 3, 1, 2, 3, 1, padding=(2, 1, -1, 3))
# Dilation 2 and more: a window of 3x2 then reaches over 5x3 pixels.
DILATED = (
    (Geometry(2, 6, 5, 3, 4, 3, 2), 2),
    (Geometry(2, 7, 9, 4, 5, 2, 3, 2, (1, 1, 1, 1)), 2),
    (Geometry(1, 8, 9, 2, 3, 3, 2, 2, (0, 2, 1, 0), "float64"), 3),
    (Geometry(3, 9, 8, 2, 4, 3, 3, 1, (2, 1, 1, 2), layout="strided"), 2),
    (Geometry(2, 4, 7, 5, 3, 3, 2, 1, (1, 1, 0, 1)), 1),
)
HIDDEN_DILATED = (
    (Geometry(2, 5, 4, 3, 6, 1, 1, 2), 3),
    (Geometry(3, 10, 7, 2, 4, 2, 3, 3, (1, 0, 2, 1)), 2),
    (Geometry(1, 9, 11, 4, 2, 3, 2, 1, (0, 2, 1, 2), "float64"), 4),
    (Geometry(2, 8, 9, 3, 5, 2, 2, 2, (2, 0, 1, 3), layout="strided"), 3),
)
CIRCULAR = (PUBLIC[2], PUBLIC[3], PUBLIC[4], PUBLIC[5], PUBLIC[6])
HIDDEN_CIRCULAR = (*HIDDEN[2:], Geometry(2, 3, 4, 5, 2, 3, 5, 1, (4, 1, 2, 5)))
CHANNELS_FIRST = (PUBLIC[1], PUBLIC[2], PUBLIC[3], PUBLIC[4], PUBLIC[5], PUBLIC[6])


def drawn(geometries: Sequence[Geometry], change: Callable[[Case], Case] = lambda case: case) -> Cases:
    """A case of each geometry."""
    return lambda rng: (change(geometry.draw(rng)) for geometry in geometries)


def of_images(case: Case) -> Case:
    """Without filters: what im2col is given."""
    x, w = case.arrays["x"], case.arrays["w"]
    name = case.name.replace(f"-F{w.shape[3]}-", "-")
    return replace(case, name=name, arrays={"x": x}, params={"window": w.shape[:2], **case.params})


def of_padding(case: Case) -> Case:
    """Images and padding alone."""
    x, padding = case.arrays["x"], case.params["padding"]
    name = f"N{x.shape[0]}-{x.shape[1]}x{x.shape[2]}-C{x.shape[3]}-p{','.join(map(str, padding))}"
    special = [case.dtype] * (case.dtype != "float32") + [case.layout] * (case.layout != "contiguous")
    return replace(case, name="-".join([name, *special]), arrays={"x": x}, params={"padding": padding})


def kernel(case: Case) -> Case:
    """As a kernel is called: one group."""
    return case.but(groups=1)


def channels_first(case: Case) -> Case:
    """[N,C,H,W] and [F,C,R,S]."""
    return case.channels_first(("x",), ("w",))


def dilated(geometries: Sequence[tuple[Geometry, int]]) -> Cases:
    """A case of each geometry and dilation."""

    def cases(rng: Rng) -> Iterator[Case]:
        for geometry, dilation in geometries:
            case = geometry.draw(rng).but(dilation=dilation)
            yield replace(case, name=f"{case.name}-d{dilation}")

    return cases


def terms(case: Case) -> float:
    """R * S * C, the length of every sum."""
    return float(math.prod(case.arrays["w"].shape[:3]))


def terms_channels_first(case: Case) -> float:
    """C * R * S."""
    return float(math.prod(case.arrays["w"].shape[1:]))


def many_pixels(rng: Rng) -> Case:
    """What is timed: 2.2 million multiplications."""
    return kernel(Geometry(4, 16, 16, 8, 12, 3, 3, 1, (1, 1, 1, 1)).draw(rng))


CHECKS = {
    "conv.pad": Checks(drawn(PADDINGS, of_padding), drawn(HIDDEN_PADDINGS, of_padding), reference.pad, recipes.PAD),
    "conv.im2col": Checks(
        drawn((*PUBLIC[:-1], CUT), of_images), drawn(HIDDEN, of_images), reference.im2col, recipes.IM2COL
    ),
    "conv.forward": Checks(
        drawn(PUBLIC, kernel),
        drawn(HIDDEN, kernel),
        reference.forward,
        (*recipes.FORWARD, *recipes.FURTHER_FORWARD),
        terms,
        Speed(2, (5, 25, 100), many_pixels),
    ),
    "conv.dilated": Checks(
        dilated(DILATED), dilated(HIDDEN_DILATED), reference.dilated, recipes_variants.DILATED, terms
    ),
    "conv.circular": Checks(
        drawn(CIRCULAR), drawn(HIDDEN_CIRCULAR), reference.circular, recipes_variants.CIRCULAR, terms
    ),
    "conv.channels_first": Checks(
        drawn(CHANNELS_FIRST, channels_first),
        drawn(HIDDEN, channels_first),
        reference.channels_first,
        recipes_variants.CHANNELS_FIRST,
        terms_channels_first,
    ),
}
