"""Kernels on a GPU: one op at one shape, every kernel cold and hot, in turns.

A kernel comes here when its results are right at these very arrays, and the same in two runs, to the last bit. It is
launched on buffers that lie ready, results included, so that what is timed is the kernel.

Not yet run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from tinyres.bench.clock import interleaved, ratio
from tinyres.bench.device_clock import DeviceContender, has_clock, sets_for
from tinyres.bench.device_roof import DeviceRoof
from tinyres.bench.outside import Peer
from tinyres.bench.problems import Problem
from tinyres.bench.results import Row
from tinyres.bench.settings import Settings
from tinyres.errors import DeviceError
from tinyres.kernels import cuda, registry
from tinyres.kernels.launch import launch
from tinyres.kernels.shapes import RULES

Buffers = list[tuple[tuple[Any, ...], Any]]  # arrays and results, one set after the other
EMULATED_BATCH = 2  # a GPU emulated on the CPU does some 30 million multiply-adds a second


@contextmanager
def gpu(settings: Settings, tell: Callable[[str], None]) -> Iterator[None]:
    """See to it that there is a GPU for what is asked, if it is about one.

    Without a GPU, a person's kernels are still held against the oracle, on an emulated one.

    Raises
    ------
    DeviceError
        There is no GPU, and no file to be checked without one.
    """
    reason = cuda.missing() if settings.on_gpu else None
    if reason is None:
        if settings.on_gpu and not has_clock():
            tell("the GPU is emulated on the CPU: kernels are held against the oracle, and nothing is timed.")
        yield
        return
    if settings.mine is None:
        raise DeviceError(f"there is no GPU to measure: {reason}.")
    with cuda.emulating():
        if without := cuda.missing():
            raise DeviceError(f"there is no GPU ({reason}), and {without}.")
        tell(f"no GPU ({reason}): {settings.mine} is held against the oracle on an emulated one, and not timed.")
        yield


def time(
    problem: Problem,
    errors: Mapping[str, float],
    roof: DeviceRoof,
    settings: Settings,
    peer: Peer | None,
    reference: str,
) -> Iterator[list[Row]]:
    """The rows of the kernels, and of the peer, that are right at a problem: cold, then hot.

    Parameters
    ----------
    problem : Problem
    errors : mapping
        Kernel (or peer) -> its error; those are timed.
    roof : DeviceRoof
        Sampled between the rounds.
    settings : Settings
    peer : Peer or None
    reference : str
        Of `errors`: whom the others are compared with.
    """
    each = problem.bytes
    for mode, count in (("cold", sets_for(each)), ("hot", 1)):
        if count:
            buffers = sets(problem, count)
            contenders = [
                _peer(peer, problem, buffers) if peer and name == peer.name else _kernel(problem, name, buffers)
                for name in errors
            ]
            mark = roof.mark()
            times = interleaved(contenders, settings.repeats, settings.seconds, roof.sample)
            yield rows(problem, contenders, times, errors, mode, roof.since(mark), reference, peer)


def rows(
    problem: Problem,
    contenders: Sequence[DeviceContender],
    times: Mapping[str, list[float]],
    errors: Mapping[str, float],
    mode: str,
    roof: DeviceRoof,
    reference: str,
    peer: Peer | None,
) -> list[Row]:
    """What was measured in one mode."""
    found = []
    for contender in contenders:
        name = contender.name
        precision = peer.precision if peer and name == peer.name else registry.find(problem.op, name).precision
        found.append(
            Row(
                op=problem.op, layer=problem.layer.name, batch=problem.batch, dtype=problem.dtype, kernel=name,
                seconds=times[name], operations=problem.operations, traffic=problem.bytes,
                attainable=roof.attainable(problem.operations, problem.bytes, precision, mode), error=errors[name],
                allowed=problem.allowed(precision), checked=problem.checked, reference=reference,
                ratio=ratio(times[name], times[reference]), nets=list(problem.nets),
                mode=mode, eager=contender.eager, precision=precision,
            )
        )  # fmt: skip
    return found


def sets(problem: Problem, count: int) -> Buffers:
    """So many copies of the arrays of a problem on the GPU, each with results to write to."""
    xp, first = cuda.module(), problem.placed("cuda")
    specs = RULES[problem.op](*problem.case.arrays, **problem.case.params)
    found = []
    for index in range(count):
        results = tuple(xp.empty(shape, dtype) for shape, dtype in specs)
        arrays = tuple(xp.array(array) for array in first) if index else first
        found.append((arrays, results if len(results) > 1 else results[0]))
    return found


def _kernel(problem: Problem, name: str, buffers: Buffers) -> DeviceContender:
    op, params = problem.op, problem.case.params
    calls = [partial(launch, op, *arrays, out=out, **params) for arrays, out in buffers]
    eager = not registry.find(op, name).graphable
    return DeviceContender(name, calls[0], {op: name}, calls=calls, eager=eager)


def _peer(peer: Peer, problem: Problem, buffers: Buffers) -> DeviceContender:
    pairs = (peer.prepare(problem.op, arrays, problem.case.params) for arrays, _ in buffers)
    calls = [pair[0] for pair in pairs if pair]
    if peer.graph is None:
        return DeviceContender(peer.name, calls[0], calls=calls, eager=True)
    return DeviceContender(peer.name, calls[0], calls=calls, make=peer.graph)
