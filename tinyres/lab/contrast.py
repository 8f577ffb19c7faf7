"""What the cases that fail have in common, and no case that passes has: a stride, padding, a type, a batch of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinyres.lab.task import Case

LEAST = 2  # cases on either side: one alone is special in something by chance


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
    of_passed = set[str]().union(*map(_properties, passed))
    of_failed = [list(_properties(case)) for case in failed]
    for said in of_failed[0]:
        if said not in of_passed and all(said in each for each in of_failed):
            return f"exactly the cases {said} fail"
    return ""


def _properties(case: Case) -> Iterator[str]:
    """What a case has, by its parameters, its type, how it lies in memory, and its arrays."""
    for name, value in case.params.items():
        flat = value if isinstance(value, (tuple, list)) else (value,)
        numbers = [number for number in flat if isinstance(number, (int, float))]
        if any(number > 1 for number in numbers):
            yield f"with {name} above 1"
        if any(number < 0 for number in numbers):
            yield f"with {name} below 0"
        if numbers:
            yield f"with {name} other than 0" if any(numbers) else f"with {name} 0"
        if len(set(numbers)) > 1:
            yield f"with unequal {name}"
    yield f"in {case.dtype}"
    if case.layout == "strided":
        yield "with arrays that are not contiguous"
    for name, array in case.arrays.items():
        for axis, length in enumerate(np.shape(array)):
            yield f"with {'one entry' if length == 1 else 'several entries'} along axis {axis} of {name}"
