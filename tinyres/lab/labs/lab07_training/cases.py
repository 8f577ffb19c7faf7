"""The cases of loss, update and schedules.

Logits are small in most cases. In some one sample has all of them too large for `exp` ("large"), or its label's is so
low that the softmax is 0 there ("low"). Rates are asked for at the steps where something happens, at those beside
them, and at some in between, in no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinyres.lab.task import Array, Case

Generator = np.random.Generator
Cases = Callable[[Generator], Iterator[Case]]
Shapes = Sequence[tuple[int, int, str, str, str]]
FAR = {"large": 300.0, "low": -150.0}  # neither exp is a float32 other than infinity and 0

LOGITS: Shapes = (
    (1, 3, "", "contiguous", "float32"),
    (5, 7, "", "contiguous", "float32"),
    (4, 10, "", "contiguous", "float64"),
    (3, 5, "large", "contiguous", "float32"),
    (8, 3, "", "strided", "float32"),
    (6, 4, "low", "strided", "float32"),
)
LOGITS_HIDDEN: Shapes = (
    (2, 9, "", "contiguous", "float32"),
    (7, 3, "low", "contiguous", "float32"),
    (1, 6, "", "strided", "float64"),
    (9, 5, "large", "strided", "float32"),
)


def special(*words: str) -> list[str]:
    """What of layout and type is worth a word in the name of a case."""
    return [word for word in words if word not in ("contiguous", "float32")]


def logits(shapes: Shapes, incoming: bool = False, smoothing: bool = False) -> Cases:
    """Logits and labels, one label the largest logit of its row and one the smallest."""

    def cases(rng: Generator) -> Iterator[Case]:
        for n, k, far, layout, dtype in shapes:
            z = 2 * rng.standard_normal((n, k))
            labels = rng.integers(0, k, n)
            labels[0], labels[-1] = z[0].argmin(), z[-1].argmax()
            z[-1] += FAR["large"] * (far == "large")
            z[0, labels[0]] += FAR["low"] * (far == "low")
            arrays: dict[str, Array] = {"logits": z, "labels": labels}
            if incoming:
                arrays = {"dloss": np.asarray(rng.uniform(0.3, 0.8)), **arrays}
            params = {"smoothing": round(float(rng.uniform(0.1, 0.4)), 2)} if smoothing else {}
            name = "-".join([f"N{n}", f"K{k}", *[far] * bool(far), *special(layout, dtype)])
            yield Case(name, arrays, params, dtype, layout).rounded()

    return cases


Updates = Sequence[tuple[int, float, float, bool, bool, str, str]]
UPDATES: Updates = (  # values, momentum, decay, Nesterov, in place, layout, type
    (2, 0.0, 0.0, False, False, "contiguous", "float32"),
    (7, 0.9, 0.0, False, False, "contiguous", "float32"),
    (5, 0.8, 0.3, False, False, "contiguous", "float32"),
    (6, 0.6, 0.2, False, True, "contiguous", "float32"),
    (9, 0.7, 0.1, True, False, "contiguous", "float32"),
    (11, 0.5, 0.4, True, True, "contiguous", "float64"),
    (8, 0.75, 0.25, True, False, "strided", "float32"),
)
UPDATES_HIDDEN: Updates = (
    (3, 0.0, 0.5, False, True, "contiguous", "float32"),
    (10, 0.85, 0.15, False, False, "strided", "float32"),
    (12, 0.9, 0.35, True, True, "contiguous", "float32"),
    (4, 0.65, 0.0, True, False, "contiguous", "float64"),
)


def updates(settings: Updates) -> Cases:
    """Weights, a velocity that is under way, a gradient."""

    def cases(rng: Generator) -> Iterator[Case]:
        for p, momentum, decay, nesterov, in_place, layout, dtype in settings:
            arrays = {name: rng.uniform(0.5, 2, p) * rng.choice([-1.0, 1.0], p) for name in "wvg"}
            lr = round(float(rng.uniform(0.05, 0.4)), 3)
            params = {"lr": lr, "momentum": momentum, "weight_decay": decay, "nesterov": nesterov, "in_place": in_place}
            words = ["nesterov"] * nesterov + ["inplace"] * in_place + special(layout, dtype)
            name = "-".join([f"P{p}", f"m{momentum:g}", f"d{decay:g}", *words])
            yield Case(name, arrays, params, dtype, layout).rounded()

    return cases


def decoupled(settings: Updates) -> Cases:
    """The same without Nesterov and not in place; a case without decay says nothing here."""

    def cases(rng: Generator) -> Iterator[Case]:
        for case in updates([(*setting[:3], False, False, *setting[5:]) for setting in settings if setting[2]])(rng):
            kept = {name: case.params[name] for name in ("lr", "momentum", "weight_decay")}
            yield Case(case.name, case.arrays, kept, case.dtype, case.layout)

    return cases


def gradients(settings: Sequence[tuple[int, float, str, str]]) -> Cases:
    """Gradients of a norm below, at and above what is allowed: the second number is norm / most."""

    def cases(rng: Generator) -> Iterator[Case]:
        for p, ratio, layout, dtype in settings:
            g = rng.standard_normal(p)
            most = round(float(rng.uniform(0.4, 3)), 2)
            g = g * ratio * most / np.sqrt(np.square(g).sum())
            yield Case(
                "-".join([f"P{p}", f"ratio{ratio:g}", *special(layout, dtype)]), {"g": g}, {"most": most}, dtype, layout
            ).rounded()

    return cases


Schedule = Sequence[tuple[str, Mapping[str, Any]]]
MULTI_STEP: Schedule = (
    ("none", {"milestones": [], "divisor": 10.0}),
    ("one", {"milestones": [6], "divisor": 10.0}),
    ("two", {"milestones": [4, 9], "divisor": 10.0}),
    ("three-by-4", {"milestones": [3, 5, 11], "divisor": 4.0}),
    ("unordered", {"milestones": [12, 2, 7], "divisor": 3.0}),
)
MULTI_STEP_HIDDEN: Schedule = (
    ("far", {"milestones": [32000, 48000], "divisor": 10.0}),
    ("four-by-2", {"milestones": [1, 2, 3, 8], "divisor": 2.0}),
    ("at-once", {"milestones": [0, 5], "divisor": 5.0}),
    ("unordered-two", {"milestones": [9, 3], "divisor": 10.0}),
)
COSINE: Schedule = (
    ("from-0", {"total": 10, "start": 0}),
    ("from-5", {"total": 17, "start": 5}),
    ("short", {"total": 3, "start": 1}),
    ("long", {"total": 900, "start": 40}),
)
COSINE_HIDDEN: Schedule = (
    ("one-step", {"total": 1, "start": 0}),
    ("from-7", {"total": 29, "start": 7}),
    ("late", {"total": 64000, "start": 400}),
)
WARM_UP: Schedule = (
    ("of-4", {"steps": 4}),
    ("of-7", {"steps": 7}),
    ("none", {"steps": 0}),
    ("of-1", {"steps": 1}),
    ("of-500", {"steps": 500}),
)
WARM_UP_HIDDEN: Schedule = (("of-3", {"steps": 3}), ("of-90", {"steps": 90}), ("of-12", {"steps": 12}))


def schedules(settings: Schedule, base: str = "base") -> Cases:
    """Rates at 0, around every number that a schedule is given, between them and after the last."""

    def cases(rng: Generator) -> Iterator[Case]:
        for name, params in settings:
            given = params.get("milestones", [value for key, value in params.items() if key != "divisor"])
            marks = [0, *(int(value) for value in given)]
            last = max(marks)
            around = [mark + shift for mark in marks for shift in (-1, 0, 1)]
            between = rng.integers(0, last + 1, 4).tolist()
            steps = rng.permutation([t for t in {*around, *between, last + 3, 2 * last + 2} if t >= 0])
            rate = {base: round(float(rng.uniform(0.05, 0.9)), 3)}
            yield Case(name, {"steps": steps}, {**rate, **params}, "float64")

    return cases
