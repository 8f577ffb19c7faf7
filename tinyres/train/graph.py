"""The steps of a run on a GPU, captured once and launched in bursts.

A step makes its batch, goes forward and back, updates the weights and notes its loss; everything that changes from step
to step (its number, the order of the images, the learning rate, where to note) lies in the memory of the GPU. So the
work of one step, captured as a CUDA graph, is the work of all of them, and the host launches many before it looks. What
is captured is the step itself (`Training.update`): its bytes are those of the same step run kernel by kernel.

The first step for each number of images runs eagerly: it is a step like any other, and leaves nothing to compile. So do
the steps that somebody follows, and all of them where something cannot be captured or TINYRES_GRAPH is `off`.

A loss that is not finite is seen after its burst. The state from before the burst is then put back, the good steps are
launched again, and the bad one runs eagerly, where it is found out before it changes anything.

Not yet run on a GPU; on the emulated one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyres.kernels import cuda
from tinyres.kernels.launch import Array, launch
from tinyres.machine import variable
from tinyres.nn import Module
from tinyres.tensor import Tensor
from tinyres.train.device import tell

if TYPE_CHECKING:
    from tinyres.train.loop import Training
    from tinyres.train.start import Run

BURST = 50  # steps launched before the host looks: an estimated 30 ms of ResNet-20, and as many to do again at worst


class Graphs:
    """Captured graphs by what they do; none at all once something could not be captured, which is said once.

    A graph knows arrays by their addresses. Loading a state copies into the same ones; where somebody puts others in
    the place of parameters or buffers, all graphs are captured anew.
    """

    def __init__(self, model: Module) -> None:
        self._made: dict[Hashable, Any] = {}
        self._places: list[tuple[Any, str]] = [(parameter, "data") for parameter in model.parameters()]
        self._places += [(module, name) for _, module in model.named_modules() for name in module.buffers]
        self._held, self.generation = self._arrays(), 0
        counting = [name for name, array in model.named_buffers() if not cuda.is_array(array)]
        self.possible = True
        if variable("TINYRES_GRAPH") == "off":
            self._refuse("TINYRES_GRAPH is off")
        elif counting:
            self._refuse(f"{counting[0]} is counted on the host")

    def _arrays(self) -> list[Array]:
        return [getattr(owner, name) for owner, name in self._places]

    def get(self, key: Hashable, work: Callable[[], Any]) -> Any:
        """The graph of some work; None where it is to be run as it is, as it always is the first time."""
        if not self.possible:
            return None
        arrays = self._arrays()
        if any(one is not other for one, other in zip(arrays, self._held, strict=True)):
            self._made, self._held, self.generation = {}, arrays, self.generation + 1
        if key not in self._made:
            self._made[key] = None
            return None
        if self._made[key] is None:
            try:
                self._made[key] = cuda.capture(work, warmups=0)
            except cuda.NotCapturable as error:
                self._refuse(str(error).rstrip("."))
        return self._made[key]

    def _refuse(self, why: str) -> None:
        self.possible = False
        tell(f"steps are launched kernel by kernel, not as a CUDA graph: {why}.")


class Forward:
    """The forward pass of a model in evaluation mode, as one graph for each shape of its input."""

    def __init__(self, model: Module, graphs: Graphs) -> None:
        self.model, self.graphs = model, graphs
        self._inputs: dict[tuple[int, ...], Array] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Logits, valid until the next call."""

        def work() -> Tensor:
            output: Tensor = self.model(Tensor(self._inputs[x.shape]))
            return output

        if x.shape not in self._inputs:
            self._inputs[x.shape] = cuda.module().empty(x.shape, x.dtype)
        graph = self.graphs.get(("forward", x.shape), work)
        if graph is None:
            eager: Tensor = self.model(x)
            return eager
        self._inputs[x.shape][...] = x.data
        graph.launch()
        result: Tensor = graph.result
        return result


class Bursts:
    """Takes the steps of a run on a GPU."""

    def __init__(self, training: Training, graphs: Graphs) -> None:
        run, xp = training.run, cuda.module()
        dtype = run.model.parameters()[0].dtype
        self.training, self.graphs = training, graphs
        self.batches = run.train.resident(shuffled=True)
        self.batches.seek(run.step)
        self.losses, self.wrong = xp.zeros(BURST, dtype), xp.zeros(BURST, np.int64)
        self.rate: Array = xp.zeros(1, dtype)
        self._set: float | None = None  # the rate that stands there
        run.optimizer.rate = self.rate
        self._backup = _Backup(run), graphs.generation

    def take(self, limit: int) -> list[tuple[float, int]]:
        """Do some steps, at least one and at most `limit`; the loss of each, and how many images it saw."""
        run, follower = self.training.run, self.training.follower
        epoch, position = divmod(run.step, self.batches.per_epoch)
        self.batches.prepare(epoch)
        images = self.batches.images_of(run.step)
        idle = follower.idle if follower else limit
        graph = self.graphs.get(images, lambda: self._step(images, look=False)) if idle else None
        if graph is None:
            return [self._eagerly(images)]
        alike = max(1, self.batches.count // self.batches.batch - position)
        waiting = 1 if run.schedule.listens else limit
        return self._burst(graph, images, min(limit, idle, alike, waiting, BURST))

    def _step(self, images: int, *, look: bool) -> None:
        """One step, whose numbers stay on the GPU; with `look` its loss is looked at before the weights change."""
        x, labels = self.batches.next(images)
        loss, logits = self.training.update(x, labels, look=look)
        log = self.batches.at, self.losses, self.wrong
        launch("log_step", loss.data, logits.data, labels, *log, out=log)

    def _eagerly(self, images: int) -> tuple[float, int]:
        step = self.training.run.step
        self._use(self.training.run.schedule.lr(step))
        self._step(images, look=True)
        ((loss, wrong),) = self._read(step, 1)
        self.training.took(loss, wrong, images)
        return loss, images

    def _burst(self, graph: Any, images: int, count: int) -> list[tuple[float, int]]:
        run = self.training.run
        first = run.step
        rates = [run.schedule.lr(first + k) for k in range(count)]
        if self._backup[1] != self.graphs.generation:
            self._backup = _Backup(run), self.graphs.generation
        backup = self._backup[0]
        backup.keep()
        self._launch(graph, rates)
        self.batches.prepare(first // self.batches.per_epoch + 1)  # while the GPU is at work
        log = self._read(first, count)
        good = next((k for k, (loss, _) in enumerate(log) if not math.isfinite(loss)), count)
        if good < count:
            backup.put_back()
            self.batches.seek(first)
            self._launch(graph, rates[:good])
        for (loss, wrong), rate in zip(log[:good], rates, strict=False):
            run.optimizer.lr = rate
            self.training.took(loss, wrong, images)
        done = [(loss, images) for loss, _ in log[:good]]
        return [*done, self._eagerly(images)] if good < count else done

    def _launch(self, graph: Any, rates: list[float]) -> None:
        for rate in rates:
            self._use(rate)
            graph.launch()

    def _use(self, rate: float) -> None:
        self.training.run.optimizer.lr = rate
        if rate != self._set:
            self.rate.fill(rate)
            self._set = rate

    def _read(self, first: int, count: int) -> list[tuple[float, int]]:
        """Loss and wrong answers of some steps, once the GPU has done them."""
        losses, wrong = self.losses.get(), self.wrong.get()
        return [(float(losses[k % BURST]), int(wrong[k % BURST])) for k in range(first, first + count)]


class _Backup:
    """A copy of all that a step changes, kept on the GPU: weights, momentum, running averages."""

    def __init__(self, run: Run) -> None:
        flats = {id(p.flat): p.flat.data for p in run.optimizer.parameters if p.flat is not None}
        buffers = [array for _, array in run.model.named_buffers() if cuda.is_array(array)]
        self.pairs = [(array, array.copy()) for array in (*flats.values(), run.optimizer.velocity, *buffers)]
        self._keeping: Any = None

    def keep(self) -> None:
        """Copy it, by a graph of as many copies."""
        if self._keeping is None:
            self._keeping = cuda.capture(self._copy)
        self._keeping.launch()

    def _copy(self) -> None:
        for array, copy in self.pairs:
            copy[...] = array

    def put_back(self) -> None:
        """Be again as when it was kept."""
        for array, copy in self.pairs:
            array[...] = copy
