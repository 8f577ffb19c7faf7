"""Recording what `tinyres.train` does: a run with its gradient flow, and the flow at a checkpoint of a run.

`tinyres train --flow` and `flow.fit(Config(flow=True))` leave flow.npz in the run folder. It is written with every
checkpoint, before it, so that a run which goes on from there goes on with its record too, to the same file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinyres.data import Dataset
from tinyres.errors import CheckpointError, ConfigError, FlowError
from tinyres.flow.record import AXES, FILE, Record
from tinyres.flow.recorder import Recorder
from tinyres.ops import softmax_cross_entropy
from tinyres.tensor import Tensor
from tinyres.train import checkpoint, loop
from tinyres.train.device import computing, on_device
from tinyres.train.follow import Follower
from tinyres.train.loop import Result
from tinyres.train.recipe import Config
from tinyres.train.start import Run, restored_model, train_loader


def fit(config: Config | None = None, dataset: Dataset | None = None) -> Result:
    """`tinyres.train.fit`, with gradient flow recorded where the settings say ``flow=True``; see there.

    Examples
    --------
    >>> result = fit(Config(flow=True, epochs=1))  # doctest: +SKIP
    >>> Record.read(result.folder)  # doctest: +SKIP
    Record(resnet20 on digits, seed 0: 3 steps, 41 layers, 59 parameters)
    """
    return loop.fit(config, dataset, following)


@contextmanager
def following(run: Run) -> Iterator[Follower]:
    """Record a run from the step where it stands; the follower that `tinyres.train.fit` wants."""
    earlier = _earlier(run.folder) if run.step else None
    with Recorder(
        run.model, every=run.config.flow_every, meta=meta_of(run.config), start=run.step, earlier=earlier
    ) as recorder:
        follower = _Following(run, recorder)
        try:
            yield follower
        except BaseException:
            recorder.detach(failed=True)
            with suppress(FlowError):  # what went wrong before is what the person must hear
                follower.save()
            raise


class _Following:
    def __init__(self, run: Run, recorder: Recorder) -> None:
        self.run, self.recorder = run, recorder

    @property
    def idle(self) -> int:
        return self.recorder.idle

    def step(self, loss: float) -> None:
        self.recorder.step(loss, lr=self.run.optimizer.lr)

    def save(self) -> None:
        if self.recorder.recorded:
            self.recorder.record.write(self.run.folder / FILE)


def _earlier(folder: Path) -> Record | None:
    if not (folder / FILE).exists():  # recording begins here
        return None
    try:
        return Record.read(folder)
    except FlowError as error:
        raise FlowError(f"{str(error).rstrip('.')}; move it away to go on without what it held.") from None


def meta_of(config: Config) -> dict[str, Any]:
    """What a record says about a run of these settings."""
    names = ("model", "data", "seed", "batch", "dtype", "device", "precision", "iterations")
    said = {"shortcut": shortcut_of(config.model, config.shortcut), "kernels": config.kernels or "default"}
    return {name: getattr(config, name) for name in names} | said


def shortcut_of(model: str, shortcut: str) -> str:
    """The shortcut that "default" means for a model of this name."""
    return ("none" if "plain" in model else "A") if shortcut == "default" else shortcut


def record_checkpoint(
    run_or_checkpoint: str | Path,
    *,
    batches: int = 1,
    dataset: Dataset | None = None,
    root: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Record:
    """Gradient flow at a checkpoint: of the training batches that come next there, with the weights left alone.

    Parameters
    ----------
    run_or_checkpoint : path
        A run folder (its newest checkpoint) or a checkpoint file.
    batches : int
        How many batches; each statistic is the mean over them.
    dataset : Dataset, optional
        Data of one's own, if the run was trained on such.
    root : str, optional
        The folder that holds the data set, if not where the run found it.
    device : {"cpu", "cuda"}
        Where to compute, wherever the run was.

    Returns
    -------
    Record
        One row, at the step of the checkpoint; update_norm and update_ratio are NaN.

    Raises
    ------
    CheckpointError
        No checkpoint there, a damaged one, or other data than it was trained on.
    ConfigError
        `batches` below 1.
    """
    if batches < 1:
        raise ConfigError(f"record_checkpoint: batches is {batches}; 1 or more are wanted.")
    saved = checkpoint.find(run_or_checkpoint)
    config = on_device(saved.config, device)
    loader = train_loader(dataclasses.replace(config, root=root or config.root), dataset)
    if not np.array_equal(loader.mean, saved.tensors["data.mean"]):
        raise CheckpointError(f"{saved.path} was trained on other images than these; give the data of that run.")
    model = restored_model(saved, device).train()
    rows: list[Record] = []
    step = saved.meta.step
    with computing(config), np.errstate(all="ignore"):
        for number in range(batches):
            epoch, position = divmod(step + number, loader.steps_per_epoch)
            x, labels = next(iter(loader.batches(epoch, position)))
            with Recorder(model, every=1, meta=meta_of(config) | {"batches": batches}, start=step) as recorder:
                loss = softmax_cross_entropy(model(Tensor(x)), labels)
                for parameter in model.parameters():
                    parameter.grad = None
                loss.backward()
                recorder.step(loss, updated=False)
            rows.append(recorder.record)
    first = rows[0]
    means = {name: np.mean([row.columns[name] for row in rows], axis=0) for name, axes in AXES.items() if "T" in axes}
    return Record(first.meta, first.columns | means)
