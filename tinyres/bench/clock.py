"""The clock: contenders take turns, so that a noisy machine is noisy for all of them.

A turn is one untimed call, then timed ones: the call before brings this contender's code and arrays back into the
caches, and by its end the threads of the contender before (OpenBLAS's and OpenMP's spin for a while) are asleep. A
sample is the mean of as many calls as last `SAMPLE` seconds, since the clock and its reading have a cost of their own.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tinyres.kernels import registry

SAMPLE = 2e-3  # seconds
FEWEST = 5  # rounds, however long they take


@dataclass
class Contender:
    """Somebody's call, with the kernels that are in force during it."""

    name: str
    call: Callable[[], object]
    choices: Mapping[str, str] = field(default_factory=dict)

    def turn(self, calls: int) -> float:
        """Seconds of a call: the mean of `calls`, after one that is not timed."""
        with registry.use(**self.choices):
            self.call()
            start = time.perf_counter()
            for _ in range(calls):
                self.call()
            return (time.perf_counter() - start) / calls


def interleaved(
    contenders: Sequence[Contender], repeats: int, seconds: float, between: Callable[[], object]
) -> dict[str, list[float]]:
    """Time contenders in rounds.

    Parameters
    ----------
    contenders : sequence of Contender
        Of different names.
    repeats : int
        Rounds.
    seconds : float
        No new round begins after that long, once `FEWEST` rounds are done.
    between : callable
        Called before every third round, untimed: measures the roof meanwhile.

    Returns
    -------
    dict of str to list of float
        Name -> seconds of a call, one a round; all lists are of one length, index by index from the same round.
    """
    calls = {c.name: max(1, math.ceil(SAMPLE / max(c.turn(1), 1e-7))) for c in contenders}
    times: dict[str, list[float]] = {c.name: [] for c in contenders}
    begin = time.perf_counter()
    for index in range(repeats):
        if index >= FEWEST and time.perf_counter() - begin > seconds:
            break
        if index % 3 == 0:
            between()
        for contender in contenders:
            times[contender.name].append(contender.turn(calls[contender.name]))
    return times


def ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """Median over the rounds of one contender's time by another's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds, reference, strict=True))
