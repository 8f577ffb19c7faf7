"""The run: check, then time, one op at one shape after the other; whoever is wrong is refused and never timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tinyres import models
from tinyres.bench import outside
from tinyres.bench.clock import Contender, interleaved, ratio
from tinyres.bench.layers import chosen, chosen_ops
from tinyres.bench.problems import Problem, usual_batch
from tinyres.bench.results import HEAD, Refusal, Row, heading, lines
from tinyres.bench.settings import Settings
from tinyres.bench.steps import time_steps
from tinyres.conformance import check_kernel
from tinyres.errors import KernelError, TinyresError
from tinyres.kernels import files, registry
from tinyres.kernels.contracts import CONTRACTS
from tinyres.kernels.launch import launch
from tinyres.kernels.shapes import RULES

if TYPE_CHECKING:
    from tinyres.bench.roof import Roof

Tell = Callable[[str], None]
SEEDS = (1, 2)  # of the contract's samples: the same shapes twice, so that a kernel which remembers results is caught


@dataclass
class Bench:
    """What a run found, as far as it came."""

    settings: Settings
    roof: Roof | None  # None where nothing was timed
    rows: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    stopped: BaseException | None = None  # what ended it before its time: Ctrl-C, or a fault


class _Run:
    """One run: the files that were loaded, and which kernels have kept their contract so far."""

    def __init__(self, settings: Settings, tell: Tell) -> None:
        settings.check()
        for net in settings.steps:
            models.create(net)  # or says what is wrong with the name
        self.settings, self.tell = settings, tell
        self.mine = files.load(settings.mine) if settings.mine else []
        self.peer = outside.load_peer(settings.peer) if settings.peer else None
        self.ops = settings.asked(tuple(dict.fromkeys(op for op, _ in self.mine)))
        self.mine = [(op, name) for op, name in self.mine if op in chosen_ops(self.ops)]
        self.verdicts: dict[tuple[str, str], bool] = {}
        self.refused: list[Refusal] = []

    def contract(self) -> None:
        """Check the person's kernels before anything is timed."""
        for op, name in self.mine:
            if self.keeps_contract(op, name):
                self.tell(f"{name} of {op}: keeps the contract on all its samples")

    def kernels(self, op: str) -> list[str]:
        """The kernels of an op that can run here on these arrays and keep their contract."""
        wanted, found = self.settings.kernels, []
        for name in registry.names(op):
            own = (op, name) in self.mine
            if not own and (name not in wanted if wanted else name == "naive"):
                continue
            try:
                kernel = registry.find(op, name)
            except TinyresError:
                continue
            if own or (kernel.device == "cpu" and self.settings.dtype in kernel.dtypes):
                found.append(name)
        return [name for name in found if self.keeps_contract(op, name)]

    def keeps_contract(self, op: str, name: str) -> bool:
        if (op, name) not in self.verdicts:
            self.verdicts[op, name] = self.passes(op, "", name, lambda: self._contract(op, name)) is not None
        return self.verdicts[op, name]

    def _contract(self, op: str, name: str) -> float:
        dtype, case = self.settings.dtype, next(CONTRACTS[op].cases(np.random.default_rng(0)))
        arrays = tuple(np.ascontiguousarray(a.astype(dtype)) if a.dtype.kind == "f" else a for a in case.arrays)
        error = max(check_kernel(op, name, dtype, seed=seed).error for seed in SEEDS)
        right = [str(kind) for _, kind in RULES[op](*arrays, **case.params)]
        outside.returned_types(op, name, arrays, case.params, right)
        return error

    def passes(self, op: str, layer: str, name: str, check: Callable[[], float]) -> float | None:
        """The error that a check found, or None, with the refusal told, where the kernel is wrong or fails."""
        try:
            return check()
        except Exception as error:
            file = self.settings.peer if self.peer and name == self.peer.name else self.settings.mine
            where = files.told(error, file, (op, name) in self.mine) if file else None
            if where is None and not isinstance(error, TinyresError):
                raise
            reason = f"{name!r} of {op} fails\n{where}" if where else str(error)
            self.refuse(Refusal(op, layer, name, reason))
            return None

    def peers(self, problem: Problem) -> tuple[Contender, float] | None:
        """The peer at a problem, with its error, if it has the op and computes the same."""
        peer, case = self.peer, problem.case
        if peer is None:
            return None
        prepared: list[Callable[[], object]] = []

        def check() -> float:
            pair = peer.prepare(problem.op, case.arrays, case.params)
            if pair is None:
                return 0.0
            call, read = pair
            error = problem.compare(peer.name, read(call()))
            prepared.append(call)
            return error

        error = self.passes(problem.op, problem.name, peer.name, check)
        return (Contender(peer.name, prepared[0]), error) if prepared and error is not None else None

    def reference(self, problem: Problem, names: list[str]) -> str:
        """Whom the others are compared with: the peer, else the kernel that runs by default, else the first."""
        usual = registry.resolve(problem.op, problem.dtype, "cpu").name
        first_choices = (self.peer.name if self.peer else "", usual, names[0])
        return next(name for name in first_choices if name in names)

    def groups(self, roof: Roof) -> Iterator[list[Row]]:
        """The rows of one op and shape, or of one net, after the other."""
        if self.settings.steps:
            good = {op: name for op, name in self.mine if self.keeps_contract(op, name)}
            yield from time_steps(self.settings, good, roof, self.refuse)
            return
        for op, layer, nets in chosen(self.settings.nets, self.ops):
            batch = self.settings.batch or usual_batch(nets)
            if rows := self.time(Problem(op, layer, nets, batch, self.settings.dtype), roof):
                yield rows

    def refuse(self, refusal: Refusal) -> None:
        """Say who is wrong, and remember it."""
        self.refused.append(refusal)
        self.tell(f"REFUSED {refusal.reason}")

    def time(self, problem: Problem, roof: Roof) -> list[Row]:
        """Check every contender at these very arrays, then let those that are right take turns."""
        contenders, errors = [], {}
        for name in self.kernels(problem.op):
            error = self.passes(problem.op, problem.name, name, partial(problem.check, name))
            if error is not None:
                contenders.append(_kernel(problem, name))
                errors[name] = error
        if contenders and (found := self.peers(problem)):
            contenders.append(found[0])
            errors[found[0].name] = found[1]
        if not contenders:
            return []
        before = len(roof.peaks)
        times = interleaved(contenders, self.settings.repeats, self.settings.seconds, roof.sample)
        attainable = roof.since(before).attainable(problem.operations, problem.bytes)
        reference = self.reference(problem, list(times))
        return [
            Row(
                op=problem.op, layer=problem.layer.name, batch=problem.batch, dtype=problem.dtype, kernel=name,
                seconds=seconds, operations=problem.operations, traffic=problem.bytes, attainable=attainable,
                error=errors[name], allowed=problem.allowed, checked=problem.checked, reference=reference,
                ratio=ratio(seconds, times[reference]), nets=list(problem.nets),
            )
            for name, seconds in times.items()
        ]  # fmt: skip


def _kernel(problem: Problem, name: str) -> Contender:
    case = problem.case
    return Contender(name, partial(launch, problem.op, *case.arrays, **case.params), {problem.op: name})


def measure_all(settings: Settings, tell: Tell) -> Bench:
    """Do what the settings ask for.

    Parameters
    ----------
    settings : Settings
    tell : callable
        Is given the text as it comes: the table group by group, and refusals.

    Returns
    -------
    Bench
        What was measured; as far as it came, if `stopped` says why it ended early.

    Raises
    ------
    ConfigError, KernelError
        A setting that makes no sense, or a person's file that cannot be used; nothing has been timed.
    """
    if reason := registry.backend("numba").missing():
        raise KernelError(f"bench measures the roof with compiled code: {reason}.")
    from tinyres.bench.roof import measure

    run = _Run(settings, tell)
    run.contract()
    if run.mine and len(run.refused) == len(run.mine):  # nothing of the person's is left to be timed
        return Bench(settings, None, refused=run.refused)
    roof = measure(settings.dtype)
    bench = Bench(settings, roof, refused=run.refused)
    tell(
        f"roof: {roof.peak:,.0f} GFLOP/s, {roof.bandwidth:.1f} GB/s in {settings.dtype}, threads: {roof.threads}; "
        "measured again between the rounds\n"
    )
    tell(HEAD)
    try:
        for rows in run.groups(roof):
            bench.rows += rows
            for line in (heading(rows), *lines(rows)):
                tell(line)
    except (KeyboardInterrupt, Exception) as stop:  # the rows until then are worth having
        bench.stopped = stop
    return bench
