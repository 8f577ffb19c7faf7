"""The clock of a GPU: events around replayed graphs, so that neither Python nor the launch of a graph is in a time.

A graph of R launches and one of 2R are replayed one after the other, each between two events on the stream; a launch
takes (T(2R) - T(R)) / R, in which what a replay costs beyond its launches cancels.

    cold   the launches go round buffers that are together more than three times the L2 cache, so that whatever one
           needs has left the cache meanwhile; a GPU in training is like this only for the largest layers
    hot    the same buffers each time

A kernel that no graph can hold (it calls cuBLAS) is launched R and 2R times by Python instead: `eager`. That is an
upper bound, because a GPU that waits for Python has nothing to do.

An emulated GPU has no clock: asking for a time there is an error.

Not yet run on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from tinyres.bench.clock import SAMPLE, Contender
from tinyres.errors import DeviceError
from tinyres.kernels import cuda, registry

COLD = 3  # times the L2
MOST_SETS = 256
FEWEST_LAUNCHES = 32
SLOW = 5e-4  # seconds of a launch; what takes longer does not care what the cache holds


class Replay(Protocol):
    """Some launches that can be made again."""

    def launch(self) -> None:
        """Make them."""


def elapsed(work: Callable[[], object]) -> float:
    """Seconds that the GPU takes for what `work` gives it, by events on the stream of graphs.

    Raises
    ------
    DeviceError
        The GPU is emulated.
    """
    need_clock()
    cupy = cuda.module()
    with cuda.stream():
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        work()
        end.record()
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(begin, end)) / 1e3


def has_clock() -> bool:
    """Whether times can be taken on the GPU: not on an emulated one."""
    return not cuda.emulated()


def need_clock() -> None:
    """Refuse to time anything on an emulated GPU."""
    if not has_clock():
        raise DeviceError("an emulated GPU shows whether results are right, and has no clock: nothing is timed on it.")


def difference(short: Replay, long: Replay, launches: int, times: int = 1) -> float:
    """Seconds of a launch: `long` has `launches` more than `short`; both are replayed `times` times."""
    once, twice = (elapsed(partial(_again, replay, times)) for replay in (short, long))
    more = (
        twice - once if twice > once else twice / 2
    )  # where noise is larger than the launches: with all that it costs
    return more / (launches * times)


def _again(replay: Replay, times: int) -> None:
    for _ in range(times):
        replay.launch()


@dataclass
class Again:
    """One graph, so many times."""

    replay: Replay
    times: int

    def launch(self) -> None:
        """Replay it as often."""
        _again(self.replay, self.times)


def whole(call: Callable[[], object]) -> Callable[[Sequence[Callable[[], object]]], Replay]:
    """How to make repeated calls of something long, such as a training step: its one graph, so many times."""
    graphs: list[Replay] = []

    def make(calls: Sequence[Callable[[], object]]) -> Replay:
        if not graphs:
            graphs.append(captured([call]))
        return Again(graphs[0], len(calls))

    return make


@dataclass
class Eager:
    """Launches that Python makes one by one."""

    calls: Sequence[Callable[[], object]]
    choices: Mapping[str, str] = field(default_factory=dict)

    def launch(self) -> None:
        """Make them, with the kernels chosen."""
        with registry.use(**self.choices):
            for call in self.calls:
                call()


def captured(calls: Sequence[Callable[[], object]]) -> Replay:
    """The calls as one graph."""

    def all_of_them() -> None:
        for call in calls:
            call()

    graph: Replay = cuda.capture(all_of_them)
    return graph


@dataclass
class DeviceContender(Contender):
    """Somebody's kernel on a GPU: `calls` are the same launch on one set of buffers after the other."""

    calls: Sequence[Callable[[], object]] = ()
    make: Callable[[Sequence[Callable[[], object]]], Replay] | None = None  # of the calls; `captured` unless said
    eager: bool = False
    fewest: int = FEWEST_LAUNCHES
    _graphs: tuple[Replay, Replay] | None = field(default=None, repr=False)

    launches: int = 0  # of the shorter graph, once that is known

    def _enough(self) -> int:
        """Launches for two milliseconds, `fewest` at most; of a quick kernel each set of buffers equally often."""
        cuda.synchronize()  # the buffers were filled on another stream
        with registry.use(**self.choices):
            elapsed(self.calls[0])  # compiles
            once = elapsed(self.calls[0])
        launches = max(2, min(self.fewest, math.ceil(SAMPLE / max(once, 1e-7))))
        return launches if once > SLOW else len(self.calls) * math.ceil(launches / len(self.calls))

    def turn(self, calls: int) -> float:
        """Seconds of a launch, over at least `calls` of them; the first turn also compiles and captures."""
        if self._graphs is None:
            self.launches = self._enough()
            with registry.use(**self.choices):
                self._graphs = self._graph(self.launches), self._graph(2 * self.launches)
            difference(*self._graphs, self.launches)
        return difference(*self._graphs, self.launches, max(1, calls // self.launches))

    def _graph(self, launches: int) -> Replay:
        calls = [self.calls[i % len(self.calls)] for i in range(launches)]
        if not self.eager:
            try:
                return self.make(calls) if self.make else captured(calls)
            except cuda.NotCapturable:
                self.eager = True
        return Eager(calls, self.choices)


def l2_bytes() -> int:
    """The size of the L2 cache."""
    if cuda.emulated():
        return 1 << 20
    cupy = cuda.module()
    return int(cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["l2CacheSize"])


def sets_for(each: int) -> int:
    """How many sets of buffers, of `each` bytes, push each other out of the cache; 0 if that takes too many."""
    sets = math.ceil(COLD * l2_bytes() / max(each, 1)) + 1
    return sets if sets <= MOST_SETS else 0
