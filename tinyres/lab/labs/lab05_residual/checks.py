"""How the tasks of lab 5 are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinyres.lab.labs.lab05_residual import (
    cases,
    recipes,
    recipes_block,
    recipes_flow,
    recipes_pixels,
    recipes_relu,
    recipes_stack,
    recipes_steps,
    recipes_variants,
    recipes_ways,
    reference,
)
from tinyres.lab.task import Case, Checks, Recipe, Results

Draw = Callable[..., Iterator[Case]]


def checked(
    draw: Draw,
    formula: Callable[[Case], Results],
    known: Sequence[Recipe],
    terms: Callable[[Case], float] = lambda case: 1.0,
    **settings: Any,
) -> Checks:
    """Public and hidden cases from one function."""

    def public(rng: np.random.Generator) -> Iterable[Case]:
        return draw(rng, **settings)

    def hidden(rng: np.random.Generator) -> Iterable[Case]:
        return draw(rng, **settings, hidden=True)

    return Checks(public, hidden, formula, known, terms)


def pixels(case: Case) -> float:
    """Terms of the gradient of a weight, and of a product on the way there."""
    dy = case.arrays["dy"]
    return float(dy.size / dy.shape[-1] + dy.shape[-1])


def widths(case: Case) -> float:
    """Terms of the products of two layers."""
    return float(sum(case.arrays["w1"].shape))


def both(case: Case) -> float:
    """Those of the products, and of the sum over pixels."""
    return pixels(case) + widths(case)


def rows(case: Case) -> float:
    """Terms of a layer: its width, and the batch for batch norm, three times over."""
    return float(3 * sum(case.arrays["h"].shape))


def depth(case: Case) -> float:
    """Terms of a product of many layers."""
    return float(case.arrays["weights"].size)


CHECKS = {
    "relu.forward": checked(cases.plain, reference.relu, (*recipes_relu.RELU, *recipes_steps.RELU), what="forward"),
    "relu.gradient": checked(
        cases.plain,
        reference.relu_gradient,
        (*recipes_relu.RELU_GRADIENT, *recipes_steps.RELU_GRADIENT),
        what="gradient",
    ),
    "relu.add": checked(cases.plain, reference.add_relu, (*recipes_relu.ADD_RELU, *recipes_steps.ADD_RELU), what="add"),
    "shortcut.pad": checked(cases.padded, reference.pad_shortcut, (*recipes.PAD, *recipes_pixels.PAD)),
    "shortcut.pad_gradient": checked(
        cases.padded_back, reference.pad_shortcut_gradient, (*recipes.PAD_GRADIENT, *recipes_pixels.PAD_BACK)
    ),
    "project.forward": checked(
        cases.projected,
        reference.project,
        (*recipes_block.PROJECT, *recipes_steps.PROJECT),
        lambda case: float(case.arrays["w"].shape[0]),
    ),
    "project.gradient": checked(
        cases.projected_back,
        reference.project_gradient,
        (*recipes_block.PROJECT_GRADIENT, *recipes_steps.PROJECT_GRADIENT),
        pixels,
    ),
    "block.forward": checked(cases.blocks, reference.block, (*recipes_block.BLOCK, *recipes_steps.BLOCK), widths),
    "block.gradient": checked(
        cases.blocks_back, reference.block_gradient, (*recipes_block.BLOCK_GRADIENT, *recipes_ways.BLOCK_GRADIENT), both
    ),
    "flow.layer": checked(cases.layers, reference.layer, (*recipes_flow.LAYER, *recipes_stack.LAYER), rows),
    "flow.layer_gradient": checked(
        cases.layers_back, reference.layer_gradient, (*recipes_flow.LAYER_GRADIENT, *recipes_stack.LAYER_GRADIENT), rows
    ),
    "flow.norms": checked(cases.stacks, reference.gradient_norms, (*recipes_flow.NORMS, *recipes_stack.NORMS), depth),
    "variant.channels_first": checked(cases.channels_first, reference.channels_first, recipes_variants.CHANNELS_FIRST),
    "variant.average_gradient": checked(cases.averaged_back, reference.average_gradient, recipes_variants.AVERAGE),
    "variant.scaled_gradient": checked(
        cases.scaled_back,
        reference.scaled_gradient,
        recipes_variants.SCALED,
        lambda case: float(case.arrays["dy"].size),
    ),
    "variant.preactivation": checked(
        cases.preactivated, reference.preactivation, recipes_variants.PREACTIVATION, widths
    ),
}
