"""Recorder: attach it to a model, train, and have a `Record` of what its gradients did.

    with flow.Recorder(model, every=10) as recorder:
        for x, labels in batches:
            loss = softmax_cross_entropy(model(Tensor(x)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss, lr=optimizer.lr)
    recorder.record.write("flow.npz")

Every tenth step is watched: hooks on Modules, on the graph as it is made, and on gradients. They only read, so training
goes on to the last bit as without them: with fused kernels, and with recomputed blocks, which keep saving memory. On
the other steps they return at once.

Of several forward passes in a step the last one before the first gradient counts. So where gradients of small batches
are added up, layers and blocks are those of the first small batch, and gradients of weights are of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from itertools import zip_longest
from types import TracebackType
from typing import Any, Self

from tinyres.autograd import listening
from tinyres.errors import ConfigError, FlowError
from tinyres.flow.record import AXES, Record
from tinyres.flow.sample import Row, Sample
from tinyres.function import Edge, Function, watching
from tinyres.nn.module import Module
from tinyres.tensor import Tensor
from tinyres.train.start import versions

Names = dict[str, list[Any]]
NAMED = ("layer", "kind", "depth", "parameter", "parameter_layer", "block", "block_depth")


class Recorder:
    """Listens to a model while it is trained, with any loop.

    Parameters
    ----------
    model : Module
    every : int
        Record steps 0, every, 2 every, ...
    meta : mapping, optional
        What to say about the run in the file: model, data, seed ...; names as at the top of `record.py`.
    start : int
        Number of the step that comes next, where training goes on from a checkpoint.
    earlier : Record, optional
        What was recorded before that: its rows before `start` are kept.
    training : bool
        Whether forward passes in training mode are those to record (else: those in evaluation mode).

    Raises
    ------
    ConfigError
        `every` below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from tinyres import nn, optim, ops
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> sgd = optim.SGD(model.parameters(), 0.1)
    >>> with Recorder(model, every=2) as recorder:
    ...     for _ in range(4):
    ...         loss = ops.softmax_cross_entropy(model(np.ones((5, 2), np.float32)), np.zeros(5, np.int64))
    ...         sgd.zero_grad()
    ...         loss.backward()
    ...         sgd.step()
    ...         recorder.step(loss)
    >>> recorder.record.step, recorder.record.layer
    (array([0, 2]), array(['0', '1', '2'], dtype='<U1'))
    """

    def __init__(
        self,
        model: Module,
        *,
        every: int = 10,
        meta: Mapping[str, Any] | None = None,
        start: int = 0,
        earlier: Record | None = None,
        training: bool = True,
    ) -> None:
        if every < 1:
            raise ConfigError(f"a Recorder records every {every}th step; every must be 1 or more.")
        self.model, self.every, self.training = model, every, training
        self._count = start
        self._meta = {"model": type(model).__name__, **(meta or {}), "every": every}
        self._rows: list[Row] = []
        self._names: Names = {}
        self._open: Sample | None = None  # waits for the first forward pass, or is in one
        self._sample: Sample | None = None  # of the last pass that came to its end
        self._watching = ExitStack()
        self._hooks: list[Callable[[], None]] = []
        if earlier is not None:
            self._take_over(earlier, start)

    # ---- on and off ------------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        return self.attach()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach(failed=error is not None)

    def attach(self) -> Self:
        """Begin to listen; `with` does it, and detaches at its end."""
        if not self._hooks:
            for name, module in self.model.named_modules():
                self._hooks.append(module.register_forward_hook(partial(self._called, name)))
            self._arm()
        return self

    def detach(self, *, failed: bool = False) -> None:
        """Stop listening.

        Parameters
        ----------
        failed : bool
            Whether an error ended the training: then a step that did not come to its end, its loss being no number
            perhaps, is kept as it is. Else it is kept only if a gradient has come back.
        """
        sample = self._sample
        try:
            if sample is not None and (failed or sample.reached):
                with suppress(FlowError) if failed else nullcontext():  # the first error is the one to hear of
                    self._keep(sample, updated=False, loss=float("nan"), lr=float("nan"))
        finally:
            self._disarm()
            for remove in self._hooks:
                remove()
            self._hooks = []

    def _arm(self) -> None:
        if self._hooks and self._count % self.every == 0:
            self._open = Sample(self.model)
            self._watching.enter_context(watching(self._made))
            self._watching.enter_context(listening(self._part))

    def _disarm(self) -> None:
        self._open = self._sample = None
        self._watching.close()

    # ---- what it hears ---------------------------------------------------------------------------------------------
    def _made(self, node: Function, inputs: tuple[Tensor, ...], results: tuple[Tensor, ...]) -> None:
        last = self._sample
        if self.model.training != self.training or (last is not None and last.reached):  # too late for another pass
            return
        if self._open is None and last is not None and last.owns(inputs):
            self._open = Sample(self.model)
        if self._open is not None:
            self._open.node(node, inputs, results)

    def _called(self, name: str, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        sample = self._open
        if sample is not None and sample.begun and self.model.training == self.training:
            sample.called(name, module, inputs, output)
            if sample.closed:
                self._sample, self._open = sample, None

    def _part(self, source: Function, edge: Edge, gradient: Tensor) -> None:
        if self._sample is not None:
            self._sample.part(source, edge, gradient)

    # ---- steps -----------------------------------------------------------------------------------------------------
    def step(self, loss: Any = float("nan"), *, lr: float = float("nan"), updated: bool = True) -> None:
        """Say that a step is done: after the optimizer's, before gradients are forgotten.

        Parameters
        ----------
        loss : Tensor or float, optional
        lr : float, optional
            What to note beside the step.
        updated : bool
            Whether the weights have been changed; False where only gradients are wanted.

        Raises
        ------
        FlowError
            The model was not run in this step, or has other layers than at the step before.
        """
        sample, number = self._sample, self._count
        try:
            if sample is None and self._open is not None:
                mode = "training" if self.training else "evaluation"
                raise FlowError(
                    f"step {number} was to be recorded, but {type(self.model).__name__} made no forward pass in "
                    f"{mode} mode that could be followed; call the model itself, on data of two axes or more."
                )
            if sample is not None:
                value = float(loss.item()) if isinstance(loss, Tensor) else float(loss)
                self._keep(sample, updated=updated, loss=value, lr=float(lr))
        finally:
            self._disarm()
        self._count += 1
        self._arm()

    def _keep(self, sample: Sample, *, updated: bool, loss: float, lr: float) -> None:
        names = _names_of(sample)
        self._names = self._names or names
        for which in ("layer", "parameter", "block"):
            since = self._rows[-1]["step"] if self._rows else None
            _refuse_change(which, self._names[which], names[which], since, self._count)
        self._meta.setdefault("batch", sample.batch)
        dtypes = {str(p.dtype) for p in sample.parameters.values()}
        self._meta.setdefault("dtype", " and ".join(sorted(dtypes)))
        self._rows.append({"step": self._count, "loss": loss, "lr": lr} | sample.row(updated))

    def _take_over(self, earlier: Record, start: int) -> None:
        self._names = {name: earlier.columns[name].tolist() for name in NAMED}
        for index, step in enumerate(earlier.step):
            if step < start:
                self._rows.append({name: earlier.columns[name][index].tolist() for name in AXES if name not in NAMED})

    @property
    def idle(self) -> int:
        """Steps until the next that is recorded; 0 if that is the next one."""
        return -self._count % self.every

    @property
    def recorded(self) -> int:
        """How many steps have been recorded so far."""
        return len(self._rows)

    @property
    def record(self) -> Record:
        """What has been recorded so far.

        Raises
        ------
        FlowError
            Nothing yet.
        """
        if not self._rows:
            raise FlowError("no step has been recorded yet; call recorder.step() after each step of the optimizer.")
        columns = {name: [row[name] for row in self._rows] for name in self._rows[0]}
        meta = {"loss": "mean over the batch", "source": "tinyres", "versions": versions()} | self._meta
        return Record(meta, {**self._names, **columns})


def _names_of(sample: Sample) -> Names:
    layers = [layer.name for layer in sample.layers]
    blocks = [split.block for split in sample.splits]
    return {
        "layer": layers,
        "kind": [layer.kind for layer in sample.layers],
        "depth": [layer.depth for layer in sample.layers],
        "parameter": list(sample.parameters),
        "parameter_layer": [_holder(name, layers) for name in sample.parameters],
        "block": [block.name for block in blocks],
        "block_depth": [block.depth for block in blocks],
    }


def _holder(parameter: str, layers: list[str]) -> int:
    """Index of the layer that a parameter belongs to: its Module's, at its first call, or its own; else -1."""
    module = parameter.rpartition(".")[0]
    wanted = (module, parameter, f"{module}[0]")
    return next((index for name in wanted if name for index, layer in enumerate(layers) if layer == name), -1)


def _refuse_change(which: str, before: list[str], now: list[str], since: int | None, step: int) -> None:
    if before == now:
        return
    pairs = enumerate(zip_longest(before, now, fillvalue="none"))
    place, (was, is_now) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
    earlier = f"step {since}" if since is not None else "the record that it goes on from"
    raise FlowError(
        f"the {which}s of the model are not those of {earlier} any more: at step {step} {which} number {place} is "
        f"{is_now} and was {was}; use one Recorder for each form of the model."
    )
