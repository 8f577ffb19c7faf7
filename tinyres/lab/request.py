"""A call as the worker is asked for it: header, arrays as the student gets them, the most that may come back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyres.errors import LabError
from tinyres.lab.task import Case, Results, Task

Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # of the results: shape and dtype by name
ROOM = 64 << 20  # bytes of results of a wrong shape that are still taken


def header(task: Task, case: Case, shapes: Shapes) -> dict[str, Any]:
    """The header of a call."""
    return {
        "task": task.key,
        "file": task.file,
        "function": task.function,
        "order": list(task.arrays),
        "params": repr(_literal(case.params, case.name)),
        "layout": case.layout,
        "outs": [[name, list(shape), dtype] for name, (shape, dtype) in shapes.items()],
    }


def _literal(value: Any, case: str) -> Any:
    """A parameter as `ast.literal_eval` reads it back."""
    if isinstance(value, dict):
        return {str(name): _literal(each, case) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_literal(each, case) for each in value)
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise LabError(f"case {case}: a parameter {value!r} cannot be sent to a worker; use numbers, text, tuples, None")


def arrays(case: Case) -> Results:
    """The arrays of a case as the student gets them."""
    found = {name: np.asarray(array) for name, array in case.arrays.items()}
    return {name: array.astype(case.dtype) if array.dtype.kind == "f" else array for name, array in found.items()}


def most(case: Case, shapes: Shapes) -> int:
    """Bytes that an answer may have."""
    results = sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shapes.values())
    return ROOM + 4 * results + 2 * sum(int(array.nbytes) for array in arrays(case).values())
