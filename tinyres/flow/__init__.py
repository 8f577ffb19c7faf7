"""Gradient flow: what a shortcut does to a gradient, recorded, measured and drawn.

record      the file of numbers: one row a recorded step, one column a layer, parameter or block
recorder    attach it to a model, in one line; sample, wiring, statistics, sums: what it is made of
trouble     where a recorded run first left the finite numbers
following   recording runs of `tinyres.train`, and their checkpoints
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Record": "record",
    "Recorder": "recorder",
    "first_trouble": "trouble",
    "fit": "following",
    "record_checkpoint": "following",
}

__all__ = ["Record", "Recorder", "first_trouble", "fit", "record_checkpoint"]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
