"""What the cases that fail have in common, and no case that passes has: a stride, padding, a type, a batch of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tinyres.lab.task import Array, Case

LEAST = 2  # cases on either side: one alone is special in something by chance
Property = tuple[str, Callable[[Case], bool]]


def contrast(failed: Sequence[Case], passed: Sequence[Case]) -> str:
    """Say which property all that failed have, and nothing that passed.

    Parameters
    ----------
    failed, passed : sequence of Case

    Returns
    -------
    str
        Such as "exactly the cases with stride above 1 fail"; "" if there is no such property.
    """
    if min(len(failed), len(passed)) < LEAST:
        return ""
    for said, holds in _properties(failed[0]):
        if all(map(holds, failed)) and not any(map(holds, passed)):
            return f"exactly the cases {said} fail"
    return ""


def _properties(case: Case) -> Iterator[Property]:
    """What a case may have, from its parameters, its arrays, and how they lie in memory."""
    for name in case.params:
        yield f"with {name} above 1", lambda c, n=name: _any(c, n, lambda v: v > 1)
        yield f"with {name} below 0", lambda c, n=name: _any(c, n, lambda v: v < 0)
        yield f"with {name} other than 0", lambda c, n=name: _any(c, n, lambda v: v != 0)
        yield f"with {name} 0", lambda c, n=name: _values(c, n).size > 0 and not _any(c, n, lambda v: v != 0)
        yield f"with unequal {name}", lambda c, n=name: _any(c, n, lambda v: v != v.flat[0])
    yield "in float64", lambda c: c.dtype == "float64"
    yield "in float32", lambda c: c.dtype == "float32"
    yield "with arrays that are not contiguous", lambda c: c.layout == "strided"
    for name, array in case.arrays.items():
        for axis in range(np.ndim(array)):
            yield f"with one entry along axis {axis} of {name}", lambda c, n=name, a=axis: _length(c, n, a) == 1
            yield f"with several entries along axis {axis} of {name}", lambda c, n=name, a=axis: _length(c, n, a) > 1


def _values(case: Case, name: str) -> Array:
    """The numbers of a parameter; none if it is something else."""
    value = case.params.get(name)
    flat = value if isinstance(value, (tuple, list)) else (value,)
    return np.array([v for v in flat if isinstance(v, (int, float))], np.float64)


def _any(case: Case, name: str, test: Callable[[Array], object]) -> bool:
    values = _values(case, name)
    return bool(values.size and np.any(test(values)))


def _length(case: Case, name: str, axis: int) -> int:
    """Of an axis of an array; 0 where there is no such axis."""
    shape = np.shape(case.arrays.get(name, ()))
    return shape[axis] if axis < len(shape) else 0
