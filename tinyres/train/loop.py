"""Training: SGD over shuffled batches, with evaluations, checkpoints and a record of it all.

One step, as in section 3.4 of He et al. 2015:

    loss = cross-entropy(model(x), labels);   v = momentum v + gradient + weight_decay w;   w = w - lr v

When something happens (an evaluation, a checkpoint, the end) depends on the number of the step alone, and what a batch
holds on (seed, epoch, position) alone; so a run that was stopped anywhere and resumed ends as if it never had been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyres.data import Dataset
from tinyres.data.loader import Batch
from tinyres.errors import ConfigError
from tinyres.kernels import compiling, cuda
from tinyres.kernels.launch import Array
from tinyres.nn import Module
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor
from tinyres.train.device import choosing, computing, described
from tinyres.train.diagnose import lost
from tinyres.train.figures import draw_curves
from tinyres.train.follow import Follow, Follower
from tinyres.train.graph import Bursts, Forward, Graphs
from tinyres.train.interrupt import Interrupt
from tinyres.train.metrics import Line, Running, evaluate
from tinyres.train.progress import Events, Progress
from tinyres.train.recipe import Config, filled
from tinyres.train.shortage import shortage
from tinyres.train.start import Run, begin


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes
    ----------
    folder : Path
        The run folder.
    config : Config
        The settings, all filled in.
    model : Module
        The network as the run left it.
    history : list of dict
        The lines of metrics.jsonl.
    selected : dict or None
        The line with the lowest validation error, the first of equals; None without a validation split.
    step, iterations : int
        Steps done, and those of the whole run.
    trained : int
        Steps done by this call: 0 if the run had been finished before.
    interrupted : bool
        Stopped by Ctrl-C or SIGTERM, with its state saved.
    """

    folder: Path
    config: Config
    model: Module
    history: list[Line]
    selected: Line | None
    step: int
    iterations: int
    trained: int
    interrupted: bool

    @property
    def last(self) -> Line:
        """The last line, that of the final step if the run is finished."""
        return self.history[-1] if self.history else {}


def fit(config: Config | None = None, dataset: Dataset | None = None, follow: Follow | None = None) -> Result:
    """Train a network as the settings say, in a new run folder, or continue the run that `config.resume` names.

    Parameters
    ----------
    config : Config, optional
        The settings; by default ResNet-20 on digits. Those that are None follow the recipe of the data.
    dataset : Dataset, optional
        Data of one's own, in place of the data set that the settings name.
    follow : callable, optional
        Gives the follower of a run whose settings say `flow`; `tinyres.flow.fit` is this function with its own.

    Returns
    -------
    Result
        Run folder, model, all measurements, and the line selected by validation error: never by test error.

    Raises
    ------
    ConfigError, DataError, KernelError
        Settings that make no sense, data or kernels that are not there; nothing has been written.
    CheckpointError
        A checkpoint that cannot be read or written; earlier ones are untouched.
    TrainingError
        The loss is no longer a number; the last good checkpoint is kept and the layer is named.

    Examples
    --------
    >>> result = fit(Config(epochs=1, runs="/tmp/runs"))  # doctest: +SKIP
    >>> result.last["test_error"]  # doctest: +SKIP
    0.25
    """
    config = Config() if config is None else config
    if config.compare:
        raise ConfigError("fit trains one network; tinyres.train.compare trains several and compares them.")
    unrecorded = ConfigError("the settings say flow, and train.fit alone records nothing; call tinyres.flow.fit.")
    if config.flow and follow is None:
        raise unrecorded
    with choosing(config.kernels):
        run = begin(config, dataset)
    if run.config.flow and follow is None:  # a run that is resumed has settings of its own
        raise unrecorded
    try:
        with computing(run.config), ExitStack() as stack:  # a resumed run has its own
            follower = stack.enter_context(follow(run)) if run.config.flow and follow is not None else None
            return Training(run, follower).complete()
    except MemoryError as error:
        if not cuda.is_out_of_memory(error):
            raise
        lack = cuda.wanted_bytes(error), cuda.properties().free
    raise shortage(run, *lack)  # here, where nothing of the step is held any more


class Training:
    """A run under way.

    Attributes
    ----------
    run : Run
        Its parts and its state.
    """

    def __init__(self, run: Run, follower: Follower | None = None) -> None:
        self.run, self.follower = run, follower
        self.batches = self._all_batches()
        self.bursts: Bursts | None = None
        self.forward: Forward | None = None
        if run.config.device == "cuda":
            graphs = Graphs(run.model)
            self.bursts, self.forward = Bursts(self, graphs), Forward(run.model, graphs)
        self.clock = time.perf_counter()
        self.compiled = compiling.compiled.seconds

    def complete(self) -> Result:
        """Train from where the run stands to its end, or until somebody interrupts."""
        run, first = self.run, self.run.step
        title = f"{run.config.model}, {Path(run.config.data).name}{described(run.config)}"
        run.model.train()
        events = Events(run.folder, run.step) if run.config.tensorboard else None
        progress = Progress(self._images(run.iterations), self._images(run.step), title)
        try:
            with Interrupt() as interrupt:
                while run.step < run.iterations and not interrupt.requested:
                    self._go_on(interrupt, progress, events)
        finally:
            progress.close()
            if events:
                events.close()
            draw_curves(run.folder, title)
        return Result(
            run.folder, run.config, run.model, run.log.lines, run.selected,
            run.step, run.iterations, run.step - first, interrupted=run.step < run.iterations,
        )  # fmt: skip

    def _go_on(self, interrupt: Interrupt, progress: Progress, events: Events | None) -> None:
        """Train on, and do what is due then: an evaluation, a checkpoint."""
        run = self.run
        save_every, evaluate_every = filled(run.config.checkpoint_every), filled(run.config.evaluate_every)
        until = min(run.iterations - run.step, *(every - run.step % every for every in (save_every, evaluate_every)))
        steps = self._steps(until)
        run.running.seconds += self._lap()
        for loss, images in steps:
            progress.step(images, loss)
        last = run.step == run.iterations
        due = last or run.step % save_every == 0
        if last or run.step % evaluate_every == 0:
            line = self.evaluate()
            progress.evaluated(line)
            if events:
                events.line(line)
            due = due or run.selected is line
        if due or interrupt.requested:
            self._save()
            self._lap()

    def _steps(self, limit: int) -> list[tuple[float, int]]:
        """Do one step, or on a GPU up to `limit`; the loss of each, and how many images it saw."""
        if self.bursts:
            return self.bursts.take(limit)
        x, labels = next(self.batches)
        return [(self.step(x, labels), len(labels))]

    def _all_batches(self) -> Iterator[Batch]:
        while True:
            yield from self.run.train.batches(*divmod(self.run.step, self.run.train.steps_per_epoch))

    def step(self, x: NDArray[Any], labels: NDArray[np.int64]) -> float:
        """Train on one batch [N,H,W,C] with labels [N] and return its mean loss."""
        run = self.run
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # each loss is looked at instead
            run.optimizer.lr = run.schedule.lr(run.step)
            loss, logits = self.update(x, labels)
            wrong = int((logits.numpy().argmax(axis=-1) != labels).sum())
            self.took(loss.item(), wrong, len(labels))
        return loss.item()

    def update(self, x: Array, labels: Array, *, look: bool = True) -> tuple[Tensor, Tensor]:
        """Forward, backward and update on a batch of either device: loss and logits.

        With `look` the loss is looked at before anything changes; a graph, which cannot, is looked at from outside.
        """
        run = self.run
        logits = run.model(Tensor(x))
        loss = softmax_cross_entropy(logits, labels)
        if look and not math.isfinite(loss.item()):
            raise lost(run, f"the loss is {loss.item()} at step {run.step + 1}", x)
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()
        return loss, logits

    def took(self, loss: float, wrong: int, images: int) -> None:
        """Count a step that was done, and tell all who want to know."""
        run = self.run
        if self.follower:
            self.follower.step(loss)
        run.schedule.after_step(run.step, wrong / images)
        run.step += 1
        run.running.add(loss, wrong, images)

    def evaluate(self) -> Line:
        """Evaluate every split that is evaluated, write the line, and tell the schedule the validation error.

        Without a validation split the schedule is told the training error: never anything about the test images.
        """
        run = self.run
        line: Line = {"step": run.step, "epoch": run.step / run.train.steps_per_epoch, "lr": run.optimizer.lr}
        line |= run.running.line()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for prefix, loader in run.evaluated.items():
                line |= evaluate(run.model, loader, prefix, *([self.forward] if self.forward else []))
        broken = [name for name, value in line.items() if not math.isfinite(value)]
        if broken:
            run.model.eval()
            raise lost(run, f"{broken[0]} is {line[broken[0]]} after step {run.step}", next(run.train.in_order())[0])
        self._lap()
        line |= {"images_per_second": run.running.images / run.running.seconds, "seconds": run.seconds}
        run.log.append(line)
        run.running = Running()
        held_out, best = "validation_error" in line, run.selected
        run.schedule.after_evaluation(line["validation_error" if held_out else "train_error"])
        if held_out and (best is None or line["validation_error"] < best["validation_error"]):
            run.selected = line
        return line

    def _save(self) -> None:
        run = self.run
        for name, array in run.model.state_dict().items():
            if not np.isfinite(array).all():
                raise lost(run, f"{name} is not finite after step {run.step}", next(run.train.in_order())[0])
        if self.follower:  # first: a record that is ahead of its checkpoint can be cut
            self.follower.save()
        run.save()

    def _lap(self) -> float:
        """Seconds since the last call, added to those of the run; returned without those spent compiling kernels."""
        before, self.clock = self.clock, time.perf_counter()
        self.run.seconds += self.clock - before
        already, self.compiled = self.compiled, compiling.compiled.seconds
        return self.clock - before - (self.compiled - already)

    def _images(self, steps: int) -> int:
        """Training images in the first `steps` steps."""
        loader = self.run.train
        epochs, rest = divmod(steps, loader.steps_per_epoch)
        return epochs * len(loader.split) + rest * loader.batch
