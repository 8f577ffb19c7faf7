"""References in named steps: a recipe exchanges one of them, so that two recipes compose.

    STEPS = {"root": lambda variance, eps: np.sqrt(variance + eps), ...}
    told("no eps", "eps is left out", slip(root=lambda variance, eps: np.sqrt(variance)))

The reference asks `step(STEPS, case, "root")`; the exchanged step travels as a parameter of the recipe's case, which no
submission ever sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinyres.lab.task import Case, Recipe

Steps = Mapping[str, Callable[..., Any]]


def slip(**steps: Callable[..., Any]) -> Callable[[Case], Case]:
    """What makes a case go through other steps; `_` in a name stands for a space."""
    exchanged: dict[str, Any] = {"step " + name.replace("_", " "): step for name, step in steps.items()}
    return lambda case: case.but(**exchanged)


def step(steps: Steps, case: Case, name: str) -> Callable[..., Any]:
    """The step of that name as this case wants it."""
    return case.params.get("step " + name) or steps[name]


def told(name: str, sentence: str, before: Callable[[Case], Case] | None = None, **how: Any) -> Recipe:
    """A recipe whose sentence begins as all do."""
    return Recipe(name, f"equals what you get if {sentence}", before, **how)
