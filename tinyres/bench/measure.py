"""The run: check, then time, one op at one shape after the other; whoever is wrong is refused and never timed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyres import models
from tinyres.bench import device, device_clock, outside
from tinyres.bench.clock import Contender, interleaved, ratio
from tinyres.bench.device_roof import DeviceRoof
from tinyres.bench.layers import chosen, chosen_ops
from tinyres.bench.problems import Problem, usual_batch
from tinyres.bench.results import HEAD, Refusal, Row, heading, lines
from tinyres.bench.settings import Settings
from tinyres.bench.steps import right_steps, time_steps
from tinyres.conformance import check_kernel
from tinyres.errors import ConfigError, KernelError, TinyresError
from tinyres.kernels import files, registry
from tinyres.kernels.backends import usual
from tinyres.kernels.contracts import CONTRACTS
from tinyres.kernels.launch import launch, moved
from tinyres.kernels.shapes import RULES

if TYPE_CHECKING:
    from tinyres.bench.roof import Roof

    AnyRoof = Roof | DeviceRoof

Tell = Callable[[str], None]
Load = Callable[[Path], list[tuple[str, str]]]  # enters the kernels of a person's file into the table: op and name
SEEDS = (1, 2)  # of the contract's samples: the same shapes twice, so that a kernel which remembers results is caught


@dataclass
class Bench:
    """What a run found, as far as it came."""

    settings: Settings
    roof: AnyRoof | None  # None where nothing was timed
    rows: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    on_gpu: bool = False
    stopped: BaseException | None = None  # what ended it before its time: Ctrl-C, or a fault


class _Run:
    """One run: the files that were loaded, and which kernels have kept their contract so far."""

    def __init__(self, settings: Settings, tell: Tell, load: Load) -> None:
        settings.check()
        for net in settings.steps:
            models.create(net)  # or says what is wrong with the name
        self.settings, self.tell = settings, tell
        self.mine = load(settings.mine) if settings.mine else []
        self.peer = outside.load_peer(settings.peer) if settings.peer else None
        self.ops = settings.asked(tuple(dict.fromkeys(op for op, _ in self.mine)))
        self.mine = [(op, name) for op, name in self.mine if op in chosen_ops(self.ops)]
        self.device = self._device()
        self.verdicts: dict[tuple[str, str], bool] = {}
        self.refused: list[Refusal] = []

    def _device(self) -> str:
        """Where the kernels run: as the settings say, or where those of the person's file do."""
        devices = {registry.find(op, name).device for op, name in self.mine}
        if len(devices) > 1:
            raise ConfigError(
                f"{self.settings.mine} has kernels of the CPU and of the GPU; measure one kind at a time."
            )
        return next(iter(devices), self.settings.device)

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
            if own or (kernel.device == self.device and self.settings.dtype in kernel.dtypes):
                found.append(name)
        return [name for name in found if self.keeps_contract(op, name)]

    def keeps_contract(self, op: str, name: str) -> bool:
        if (op, name) not in self.verdicts:
            self.verdicts[op, name] = self.passes(op, "", name, lambda: self._contract(op, name)) is not None
        return self.verdicts[op, name]

    def _contract(self, op: str, name: str) -> float:
        dtype, case = self.settings.dtype, next(CONTRACTS[op].cases(np.random.default_rng(0)))
        hosts = (np.ascontiguousarray(a.astype(dtype)) if a.dtype.kind == "f" else a for a in case.arrays)
        arrays = tuple(moved(a, self.device) for a in hosts)
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
            pair = peer.prepare(problem.op, problem.placed(self.device), case.params)
            if pair is None:
                return 0.0
            call, read = pair
            error = problem.compare(peer.name, read(call()), peer.precision)
            prepared.append(call)
            return error

        error = self.passes(problem.op, problem.name, peer.name, check)
        return (Contender(peer.name, prepared[0]), error) if prepared and error is not None else None

    def reference(self, problem: Problem, names: list[str]) -> str:
        """Whom the others are compared with: the peer, else the kernel that runs by default, else the first."""
        first_choices = (self.peer.name if self.peer else "", *usual(problem.op, self.device), names[0])
        return next(name for name in first_choices if name in names)

    def groups(self, roof: AnyRoof) -> Iterator[list[Row]]:
        """The rows of one op and shape, or of one net, after the other."""
        if self.settings.steps:
            good = {op: name for op, name in self.mine if self.keeps_contract(op, name)}
            yield from time_steps(self.settings, good, roof, self.refuse, self.device)
            return
        for op, layer, nets in chosen(self.settings.nets, self.ops):
            batch = self.settings.batch or usual_batch(nets)
            yield from self.time(Problem(op, layer, nets, batch, self.settings.dtype), roof)

    def refuse(self, refusal: Refusal) -> None:
        """Say who is wrong, and remember it."""
        self.refused.append(refusal)
        self.tell(f"REFUSED {refusal.reason}")

    def check(self, problem: Problem, names: list[str]) -> dict[str, float]:
        """Hold kernels against the oracle at a problem; the error of each that is right."""
        checked = {name: self.passes(problem.op, problem.name, name, partial(problem.check, name)) for name in names}
        return {name: error for name, error in checked.items() if error is not None}

    def time(self, problem: Problem, roof: AnyRoof) -> Iterator[list[Row]]:
        """Check every contender at these very arrays, then let those that are right take turns."""
        errors = self.check(problem, self.kernels(problem.op))
        contenders = [_kernel(problem, name) for name in errors]
        if contenders and (found := self.peers(problem)):
            contenders.append(found[0])
            errors[found[0].name] = found[1]
        if not contenders:
            return
        if isinstance(roof, DeviceRoof):
            reference = self.reference(problem, list(errors))
            yield from device.time(problem, errors, roof, self.settings, self.peer, reference)
            return
        before = roof.mark()
        times = interleaved(contenders, self.settings.repeats, self.settings.seconds, roof.sample)
        attainable = roof.since(before).attainable(problem.operations, problem.bytes)
        reference = self.reference(problem, list(times))
        yield [
            Row(
                op=problem.op, layer=problem.layer.name, batch=problem.batch, dtype=problem.dtype, kernel=name,
                seconds=seconds, operations=problem.operations, traffic=problem.bytes, attainable=attainable,
                error=errors[name], allowed=problem.allowed(), checked=problem.checked, reference=reference,
                ratio=ratio(seconds, times[reference]), nets=list(problem.nets),
            )
            for name, seconds in times.items()
        ]  # fmt: skip


def _kernel(problem: Problem, name: str) -> Contender:
    case = problem.case
    return Contender(name, partial(launch, problem.op, *case.arrays, **case.params), {problem.op: name})


def measure_all(settings: Settings, tell: Tell, load: Load = files.load) -> Bench:
    """Do what the settings ask for.

    Parameters
    ----------
    settings : Settings
    tell : callable
        Is given the text as it comes: the table group by group, and refusals.
    load : callable
        Enters the kernels of `settings.mine` into the table.

    Returns
    -------
    Bench
        What was measured; as far as it came, if `stopped` says why it ended early.

    Raises
    ------
    ConfigError, KernelError
        A setting that makes no sense, or a person's file that cannot be used; nothing has been timed.
    """
    with device.gpu(settings, tell):
        run = _Run(settings, tell, load)
        run.contract()
        if run.mine and len(run.refused) == len(run.mine):  # nothing of the person's is left to be timed
            return Bench(settings, None, refused=run.refused)
        return _timed(run, tell) if run.device == "cpu" or device_clock.has_clock() else _checked(run, tell)


def _checked(run: _Run, tell: Tell) -> Bench:
    """The kernels at every layer, on a GPU that has no clock; the person's alone, where there are such."""
    settings, mine = run.settings, dict(run.mine)
    if settings.steps:
        right_steps(settings, {op: name for op, name in run.mine if run.keeps_contract(op, name)}, run.refuse, run.tell)
        return Bench(settings, None, refused=run.refused)
    for op, layer, nets in chosen(settings.nets, run.ops):
        problem = Problem(op, layer, nets, settings.batch or device.EMULATED_BATCH, settings.dtype)
        names = run.kernels(op) if not mine else [mine[op]] if run.keeps_contract(op, mine[op]) else []
        for name, error in run.check(problem, names).items():
            allowed = problem.allowed(registry.find(op, name).precision)
            tell(f"right  {op}  {problem.name}, {name}: error {error:.0e}, {allowed:.0e} allowed")
    return Bench(settings, None, refused=run.refused)


def _timed(run: _Run, tell: Tell) -> Bench:
    settings = run.settings
    if run.device == "cpu" and (reason := registry.backend("numba").missing()):
        raise KernelError(f"bench measures the roof with compiled code: {reason}.")
    module = importlib.import_module(f"tinyres.bench.{'device_roof' if run.device == 'cuda' else 'roof'}")
    roof: AnyRoof = module.measure(settings.dtype)
    bench = Bench(settings, roof, refused=run.refused, on_gpu=run.device == "cuda")
    tell(f"{roof.sentence()}\n")
    tell(HEAD)
    try:
        for rows in run.groups(roof):
            bench.rows += rows
            for line in (heading(rows), *lines(rows)):
                tell(line)
    except (KeyboardInterrupt, Exception) as stop:  # the rows until then are worth having
        bench.stopped = stop
    return bench
