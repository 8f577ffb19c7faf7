"""Mistakes with threads, blocks and barriers that leave wrong values; those of convolutions are in recipes_conv.py.

Many mistakes on a GPU leave no value that one could compare: a read outside an array, two threads that write one value,
a barrier that is missing. `adapter.py` watches for these and tells them as errors, in the student's line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.lab.task import Case, Recipe, Results

Array = Any
THREADS, BLOCKS, LANES = 16, 2, 8  # in the simulator: of adapter.py, elementwise.py and total.py


def values(change: Callable[[Array], Array | None]) -> Callable[[Results, Case], Results]:
    """A change to the one result there is, in place or as a new array."""

    def after(results: Results, case: Case) -> Results:
        ((name, array),) = results.items()
        changed = np.array(array)
        new = change(changed)
        return {name: changed if new is None else new}

    return after


def unwritten(which: Callable[[int], Array]) -> Callable[[Results, Case], Results]:
    """Values, by their numbers of `size`, that no thread writes: they stay NaN."""

    def leave(array: Array) -> None:
        array.reshape(-1)[which(array.size)] = np.nan

    return values(leave)


def _beyond_full_blocks(size: int) -> Array:
    return np.arange(size) >= size // THREADS * THREADS


LAST = Recipe(
    "last_left",
    "equals what you get if the last value is left out: its thread is turned away, so compare with size, not size - 1",
    after=unwritten(lambda size: np.arange(size) == size - 1),
)
FIRST = Recipe(
    "first_left",
    "equals what you get if value 0 is left out: threads are counted from 0, and so are values",
    after=unwritten(lambda size: np.arange(size) == 0),
)
FULL_BLOCKS = Recipe(
    "full_blocks",
    "equals what you get if only full blocks are launched, and the values of the last, half empty one are left out: "
    "the number of blocks is rounded up",
    after=unwritten(_beyond_full_blocks),
)
INTO_OUT = Recipe(
    "into_out",
    "equals what you get if each thread adds to what is in memory before anything was written there: add up in a "
    "variable of the thread that begins with zero, and write it once",
    after=values(lambda array: np.full_like(array, np.nan)),
)


def _from(name: str, sentence: str, formula: Callable[[dict[str, Array]], Array], result: str) -> Recipe:
    """A wrong formula on the arrays of a case."""
    return Recipe(name, f"equals what you get if {sentence}", instead=lambda case: {result: formula(case.arrays)})


RELU = (
    LAST,
    FIRST,
    FULL_BLOCKS,
    _from("all_pass", "negative values pass: nothing is clipped", lambda a: a["x"].copy(), "y"),
    _from(
        "other_side",
        "the positive values are clipped, and the negative ones pass",
        lambda a: np.minimum(a["x"], 0),
        "y",
    ),
    _from("magnitude", "negative values lose their sign: they should become zero", lambda a: abs(a["x"]), "y"),
    _from("mask", "1 is written where x is positive, and not x", lambda a: (a["x"] > 0) * 1.0, "y"),
    _from(
        "leaky",
        "negative values pass, a hundredth of them: that is a leaky ReLU",
        lambda a: np.where(a["x"] > 0, a["x"], 0.01 * a["x"]),
        "y",
    ),
)


def _stepping(step: int) -> Callable[[int], Array]:
    """The values that a grid-stride loop of the wrong step never comes to."""

    def which(size: int) -> Array:
        reached = {number for first in range(THREADS * BLOCKS) for number in range(first, size, step)}
        return np.array([number not in reached for number in range(size)])

    return which


RELU_GRADIENT = (
    Recipe(
        "one_each",
        "equals what you get if each thread takes one value only: the grid is smaller than the array, so a thread goes "
        "on, in steps of the whole grid",
        after=unwritten(lambda size: np.arange(size) >= THREADS * BLOCKS),
    ),
    Recipe(
        "step_too_long",
        "equals what you get if a thread's steps are one longer than the grid has threads",
        after=unwritten(_stepping(THREADS * BLOCKS + 1)),
    ),
    Recipe(
        "twice_the_grid",
        "equals what you get if a thread's steps are twice as long as the grid has threads",
        after=unwritten(_stepping(2 * THREADS * BLOCKS)),
    ),
    LAST,
    FIRST,
    _from(
        "all_pass",
        "every gradient passes, as with y >= 0: where ReLU stopped a value, y is exactly zero",
        lambda a: a["dy"].copy(),
        "dx",
    ),
    _from(
        "own_sign",
        "the sign of dy decides: it is y that says whether the value passed",
        lambda a: np.maximum(a["dy"], 0),
        "dx",
    ),
    _from(
        "times_y",
        "dy is multiplied by y: the derivative is 1 where y > 0, whatever y is",
        lambda a: a["dy"] * a["y"],
        "dx",
    ),
    _from("mask", "1 is written where y > 0, and not dy", lambda a: (a["y"] > 0) * 1.0, "dx"),
    _from(
        "other_side",
        "the gradient passes where the value was stopped, and is stopped where it passed",
        lambda a: np.where(a["y"] > 0, 0.0, a["dy"]),
        "dx",
    ),
)


def _tree(block: Callable[[Array], float], full_only: bool = False) -> Callable[[dict[str, Array]], Array]:
    """The sum in rounds of LANES values a block, with one thing wrong in what a block does."""

    def total(arrays: dict[str, Array]) -> Array:
        x = arrays["x"].reshape(-1)
        while x.size > LANES:
            count = x.size // LANES if full_only else -(-x.size // LANES)
            x = np.array(
                [
                    block(np.pad(part, (0, LANES - len(part))))
                    for part in (x[b * LANES : (b + 1) * LANES] for b in range(count))
                ]
            )
        return np.array([block(np.pad(x, (0, LANES - x.size)))])

    return total


TOTAL = (
    _from(
        "first_block",
        "only the first block counts: the sums of the others have to be added up too",
        lambda a: np.array([a["x"].reshape(-1)[:LANES].sum()]),
        "total",
    ),
    _from(
        "two_rounds",
        "only as many blocks count as one block adds up: with more of them there is a third round",
        lambda a: np.array([a["x"].reshape(-1)[: LANES * LANES].sum()]),
        "total",
    ),
    _from(
        "full_blocks",
        "only full blocks count: the values of the last, half empty one are left out in each round",
        _tree(lambda lanes: lanes.sum(), full_only=True),
        "total",
    ),
    _from(
        "stops_at_two",
        "the tree stops at half = 2: lanes 0 and 1 still have to be added",
        _tree(lambda lanes: lanes[::2].sum()),
        "total",
    ),
    _from(
        "begins_at_quarter",
        "the tree begins with a quarter: the upper half of the lanes is never added",
        _tree(lambda lanes: lanes[: LANES // 2].sum()),
        "total",
    ),
    _from(
        "without_first_step",
        "the last step of the tree is a copy and not a sum: lane 1 takes the place of lane 0",
        _tree(lambda lanes: lanes[1::2].sum()),
        "total",
    ),
    _from(
        "last_left",
        "the last value is left out: compare its number with size, not size - 1",
        lambda a: np.array([a["x"].reshape(-1)[:-1].sum()]),
        "total",
    ),
    _from(
        "first_left",
        "value 0 is left out: threads are counted from 0, and so are values",
        lambda a: np.array([a["x"].reshape(-1)[1:].sum()]),
        "total",
    ),
    _from(
        "mean",
        "the sum is divided by the number of values: that is the mean",
        lambda a: np.array([a["x"].mean()]),
        "total",
    ),
    _from(
        "largest",
        "the larger of two values is kept in each step: that is the maximum",
        lambda a: np.array([a["x"].max()]),
        "total",
    ),
    _from("squares", "the squares are added up", lambda a: np.array([(a["x"] ** 2).sum()]), "total"),
    INTO_OUT,
)
